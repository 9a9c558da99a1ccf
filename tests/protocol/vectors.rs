//! Pinned values: what another implementation, or a later version of this one, must reproduce.
//! Hash and field values come from an independent implementation (AES-128 of a cryptography
//! library, carry-less multiplication by hand); encodings are spelled out once more here.

use crate::protocol::plans::{party, set_of};
use crate::protocol::transcript::Transcript;
use senate_block::{Block, FixedKey, Prg, Tccr, Tweak, Weights, mul};
use senate_circuit::StageId;
use senate_mpc::coin::commitment;
use senate_mpc::sim::Federation;
use senate_mpc::{Domain, Kind, Lane, Params, Session, SessionId};

const KEY: Block = Block(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100);
const INPUT: Block = Block(0xffee_ddcc_bbaa_9988_7766_5544_3322_1100);

fn block(value: u128) -> [u8; 16] {
    value.to_le_bytes()
}

#[test]
fn the_permutation_is_aes_128() {
    // FIPS 197, appendix C.1, little-endian.
    let mut image = [INPUT];
    FixedKey::new(KEY).permute(&mut image);
    assert_eq!(image[0].to_bytes(), block(0x5ac5_b470_80b7_cdd8_3004_7b6a_d8e0_c469));
}

#[test]
fn the_hash_is_pi_of_pi_of_x_plus_tweak_plus_pi_of_x() {
    let tweak = Tweak { purpose: 6, index: 5, i: 1, j: 2, half: 1 };
    assert_eq!(tweak.block().to_bytes(), block(0x0601_0201_0000_0000_0000_0005));
    let mut image = [INPUT];
    Tccr::new(KEY).hash(&mut image, tweak);
    assert_eq!(image[0].to_bytes(), block(0xcf30_acfb_01af_6e3c_bfa6_fdc7_79cc_fffc));
}

#[test]
fn generators_and_weights_are_aes_in_counter_mode() {
    let mut stream = [Block::ZERO; 2];
    Prg::new(KEY).fill(7, &mut stream);
    assert_eq!(stream[0].to_bytes(), block(0xec30_1a99_cdbb_51f4_cc7e_e0ea_e6c3_540a));
    assert_eq!(stream[1].to_bytes(), block(0xd44f_e524_82a9_4fb5_9445_b0c9_2bc6_0fc7));
    let mut weights = [Block::ZERO; 3];
    Weights::new(KEY).fill(0, &mut weights);
    assert_eq!(weights[2].to_bytes(), block(0x2673_d422_874d_3697_ad9c_dba5_1be3_8afb));
}

#[test]
fn the_field_is_gf_2_128_modulo_x_128_x_7_x_2_x_1() {
    assert_eq!(mul(Block(1 << 127), Block(2)).to_bytes(), block(0x87));
    let product = mul(KEY, INPUT);
    assert_eq!(product.to_bytes(), block(0x98dc_903a_bb44_b3a2_16bc_1e5a_3524_3cce));
}

/// The tag of `domain`'s session [3; 32], parties {P1, P3} and stage 2, spelled out.
fn spelled_out(fields: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("senate 2026-11 protocol tag");
    hasher.update(&[3; 32]).update(&0b101u64.to_le_bytes());
    hasher.update(&(1u64 << 56 | 2).to_le_bytes());
    fields.iter().for_each(|field| {
        hasher.update(field);
    });
    *hasher.finalize().as_bytes()
}

fn domain() -> Domain {
    Domain::new(SessionId([3; 32]), set_of(&[0, 2]), Lane::stage(StageId(2)))
}

#[test]
fn tags_bind_session_parties_conversation_purpose_and_fields() {
    let tag = domain().tag("purpose").number(9).party(party(2)).bytes(b"ab").digest();
    let fields: [&[u8]; 6] = [
        &7u64.to_le_bytes(),
        b"purpose",
        &9u64.to_le_bytes(),
        &2u64.to_le_bytes(),
        &2u64.to_le_bytes(),
        b"ab",
    ];
    assert_eq!(tag, spelled_out(&fields));
}

#[test]
fn commitments_name_their_committer() {
    let (salt, message) = ([5; 32], b"message");
    let committed = commitment(&domain(), party(2), "coin 0", &salt, message);
    let fields: [&[u8]; 9] = [
        &10u64.to_le_bytes(),
        b"commitment",
        &2u64.to_le_bytes(),
        &6u64.to_le_bytes(),
        b"coin 0",
        &32u64.to_le_bytes(),
        &salt,
        &7u64.to_le_bytes(),
        message,
    ];
    assert_eq!(committed, spelled_out(&fields));
    assert_ne!(committed, commitment(&domain(), party(0), "coin 0", &salt, message));
}

#[test]
fn codes_of_message_kinds_are_unique_and_stay() {
    for (at, kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(Kind::from_code(kind.code()), Some(*kind));
        assert!(Kind::ALL[..at].iter().all(|other| other.code() != kind.code()));
    }
    let codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.code()).collect();
    let runs = [1..=6, 10..=16, 20..=23, 32..=32, 40..=41, 45..=48, 50..=51, 55..=56, 60..=61];
    let more = [70..=75, 80..=81, 90..=95, 100..=101, 110..=111, 120..=122, 130..=131];
    assert_eq!(codes, runs.into_iter().chain(more).flatten().collect::<Vec<u8>>());
}

#[test]
fn a_seeded_session_sends_these_bytes() {
    let mut transcript = Transcript::default();
    let opened = Federation::new(2, 1).run_tampered(&mut transcript, async |mesh, entropy| {
        Session::open(mesh, Params::new([4; 32]), entropy).await.map(|session| session.id())
    });
    assert!(opened.iter().all(Result::is_ok));
    assert_eq!(blake3::Hash::from(transcript.digest()).to_hex().as_str(), SESSION);
}

/// Of set-up between two parties: base oblivious transfers, trees, one extension per ordered pair,
/// Δ check. It changes only together with [`senate_mpc::session::PROTOCOL_VERSION`].
const SESSION: &str = "b61409a52378d06542bfb7cba816dd6b9f51a96a12fa22772ff423adfa49b916";
