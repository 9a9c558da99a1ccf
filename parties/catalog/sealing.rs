//! Statements sealed with a party's identity. A seal counts in one federation file only.

use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity, Signature};
use senate_control::{Fact, Seal, Statement};

/// What the signatures are about.
const CONTEXT: &str = "catalog";

/// Seals a fact of the identity's party.
///
/// # Errors
/// As [`Identity::sign`].
pub(crate) fn seal(identity: &Identity, federation: &[u8; 32], fact: Fact) -> Outcome<Statement> {
    let signature = identity.sign(CONTEXT, &sealed(federation, &fact))?;
    let seal = Seal::new(&signature.signature_bytes())
        .ok_or_else(|| Failure::unexpected("a signature longer than signatures are"))?;
    Ok(Statement { fact, seal })
}

/// Checks that the holder of the pinned certificate, which is this one, sealed the statement.
///
/// # Errors
/// Why it did not.
pub(crate) fn verify(
    certificate: &[u8],
    pinned: Fingerprint,
    federation: &[u8; 32],
    statement: &Statement,
) -> Result<(), String> {
    let signature = Signature::of_parts(certificate, statement.seal.bytes());
    signature.verify(pinned, CONTEXT, &sealed(federation, &statement.fact))
}

fn sealed(federation: &[u8; 32], fact: &Fact) -> Vec<u8> {
    [federation.as_slice(), &fact.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_circuit::PartyId;
    use senate_control::{Digest, Topic};

    #[test]
    fn nobody_can_forge_or_move_a_statement() {
        let [a, b] = ["a", "b"].map(|party| Identity::generate(party).unwrap().0);
        let party = PartyId::new(0).unwrap();
        let fact = Fact { party, epoch: 1, topic: Topic::Roster, digest: Digest([3; 32]) };
        let statement = seal(&a, &[9; 32], fact).unwrap();
        let by = |identity: &Identity, federation, statement: &Statement| {
            verify(&identity.certificate(), identity.fingerprint(), federation, statement)
        };
        assert_eq!(by(&a, &[9; 32], &statement), Ok(()));
        assert!(by(&b, &[9; 32], &statement).is_err());
        assert!(by(&a, &[8; 32], &statement).is_err());
        for other in [
            Fact { epoch: 2, ..fact },
            Fact { topic: Topic::Release, ..fact },
            Fact { digest: Digest([4; 32]), ..fact },
            Fact { party: PartyId::new(1).unwrap(), ..fact },
        ] {
            assert!(by(&a, &[9; 32], &Statement { fact: other, ..statement }).is_err());
        }
        let forged = verify(&b.certificate(), a.fingerprint(), &[9; 32], &statement);
        assert!(forged.unwrap_err().contains("another certificate"));
    }
}
