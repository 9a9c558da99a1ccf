use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn ands(build: impl FnOnce(&mut Builder, PlaneId, PlaneId) -> PlaneId) -> (u64, Program) {
    let mut b = Builder::new();
    let x = b.input(&[4, 4]);
    let out = build(&mut b, x[0], x[1]);
    b.output(&[out]);
    let program = b.finish().unwrap();
    (program.ands(), program)
}

#[test]
fn identities_cost_nothing() {
    let free: [fn(&mut Builder, PlaneId, PlaneId) -> PlaneId; 9] = [
        |b, x, _| b.and(x, x),
        |b, x, _| b.or(x, x),
        |b, x, _| {
            let n = b.not(x);
            b.and(x, n)
        },
        |b, x, _| {
            let zero = b.constant(false, 4);
            b.and(zero, x)
        },
        |b, x, _| {
            let one = b.constant(true, 4);
            b.and(x, one)
        },
        |b, x, y| b.mux(x, y, y),
        |b, x, y| {
            let one = b.constant(true, 4);
            b.mux(one, x, y)
        },
        |b, x, y| {
            let z = b.xor(x, y);
            let back = b.xor(z, y);
            let zero = b.xor(back, x);
            b.and(zero, y)
        },
        |b, x, y| {
            let zero = b.constant(false, 2);
            let both = b.concat(&[zero, x]);
            let head = b.slice(both, 0, 2);
            let head = b.concat(&[head, head]);
            b.and(head, y)
        },
    ];
    for build in free {
        assert_eq!(ands(build).0, 0);
    }
}

#[test]
fn equal_subexpressions_are_one() {
    let (count, _) = ands(|b, x, y| {
        let first = b.and(x, y);
        let second = b.and(y, x);
        let third = b.and(first, y);
        assert_eq!((first, first), (second, third));
        let (nx, ny) = (b.not(x), b.not(y));
        assert_eq!(b.xor(nx, ny), b.xor(x, y));
        first
    });
    assert_eq!(count, 4);
}

#[test]
fn gathers_compose_and_see_through_concatenations() {
    let (_, program) = ands(|b, x, y| {
        let turn = b.map(vec![3, 2, 1, 0]);
        let turned = b.gather(x, turn);
        assert_eq!(b.gather(turned, turn), x);
        let both = b.concat(&[x, y]);
        assert_eq!(b.slice(both, 4, 4), y);
        assert_eq!(b.slice(both, 0, 8), both);
        let turned = b.gather(both, turn);
        b.gather(turned, turn);
        b.slice(turned, 1, 2)
    });
    assert_eq!(program.maps, vec![vec![2, 1]]);
}

#[test]
fn public_bits_are_themselves() {
    let mut b = Builder::new();
    let bits: Bits = [true, false, false, true, true].into_iter().collect();
    let plane = b.public(&bits);
    let same = b.public(&Bits::repeat(true, 70));
    assert_eq!(b.constant_of(same), Some(true));
    b.output(&[plane]);
    assert_eq!(b.finish().unwrap().evaluate(&[]).unwrap(), vec![bits]);
}

#[test]
fn zero_lanes_are_legal_everywhere() {
    let mut b = Builder::new();
    let x = b.input(&[0, 0]);
    let and = b.and(x[0], x[1]);
    let or = b.or(and, x[0]);
    let none = b.map(Vec::new());
    let gathered = b.gather(or, none);
    let joined = b.concat(&[gathered, and]);
    b.output(&[joined, or]);
    assert_eq!(b.finish().unwrap().evaluate(&[Bits::default()]).unwrap(), vec![Bits::default()]);
}

#[test]
fn the_first_misuse_is_reported() {
    let mut b = Builder::new();
    let x = b.input(&[2, 3]);
    let bad = b.and(x[0], x[1]);
    let worse = b.slice(bad, 5, 9);
    b.output(&[worse]);
    assert_eq!(b.finish(), Err(BuildError::LanesDiffer { left: 2, right: 3 }));

    let mut b = Builder::new();
    let x = b.input(&[2]);
    b.slice(x[0], 1, 2);
    assert_eq!(b.finish(), Err(BuildError::LaneOutOfRange { lane: 2, lanes: 2 }));

    let mut b = Builder::new();
    b.not(PlaneId(0));
    assert_eq!(b.finish(), Err(BuildError::UnknownPlane(PlaneId(0))));
}

/// One call to the builder; operands are positions modulo the planes there are.
#[derive(Clone, Debug)]
enum Call {
    Constant(bool, u32),
    Xor(usize, usize),
    And(usize, usize),
    Or(usize, usize),
    Mux(usize, usize, usize),
    Not(usize),
    Gather(usize, Vec<u32>),
    Slice(usize, u32, u32),
    Concat(Vec<usize>),
}

fn call() -> impl Strategy<Value = Call> {
    let at = 0..64usize;
    prop_oneof![
        (any::<bool>(), 0..5u32).prop_map(|(bit, lanes)| Call::Constant(bit, lanes)),
        (at.clone(), at.clone()).prop_map(|(x, y)| Call::Xor(x, y)),
        (at.clone(), at.clone()).prop_map(|(x, y)| Call::And(x, y)),
        (at.clone(), at.clone()).prop_map(|(x, y)| Call::Or(x, y)),
        (at.clone(), at.clone(), at.clone()).prop_map(|(x, y, z)| Call::Mux(x, y, z)),
        at.clone().prop_map(Call::Not),
        (at.clone(), vec(any::<u32>(), 0..6)).prop_map(|(x, map)| Call::Gather(x, map)),
        (at.clone(), 0..4u32, 0..6u32).prop_map(|(x, start, len)| Call::Slice(x, start, len)),
        vec(at, 0..4).prop_map(Call::Concat),
    ]
}

type Shadow = (PlaneId, Vec<bool>);

/// Makes the call, and the same on lists of bits. Operands of other lengths are cut to the first's.
fn make(b: &mut Builder, all: &[Shadow], call: &Call) -> Shadow {
    let pick = |at: usize| all[at % all.len()].clone();
    let pair = |b: &mut Builder, x: usize, y: usize| {
        let ((x, xs), (y, ys)) = (pick(x), pick(y));
        let lanes = xs.len().min(ys.len());
        let mut cut =
            |plane, bits: Vec<bool>| (b.slice(plane, 0, lanes as u32), bits[..lanes].to_vec());
        (cut(x, xs), cut(y, ys))
    };
    let zip = |xs: Vec<bool>, ys: Vec<bool>, f: fn(bool, bool) -> bool| {
        xs.into_iter().zip(ys).map(|(x, y)| f(x, y)).collect::<Vec<bool>>()
    };
    match call.clone() {
        Call::Constant(bit, lanes) => (b.constant(bit, lanes), vec![bit; lanes as usize]),
        Call::Xor(x, y) => {
            let ((x, xs), (y, ys)) = pair(b, x, y);
            (b.xor(x, y), zip(xs, ys, |x, y| x ^ y))
        }
        Call::And(x, y) => {
            let ((x, xs), (y, ys)) = pair(b, x, y);
            (b.and(x, y), zip(xs, ys, |x, y| x & y))
        }
        Call::Or(x, y) => {
            let ((x, xs), (y, ys)) = pair(b, x, y);
            (b.or(x, y), zip(xs, ys, |x, y| x | y))
        }
        Call::Mux(x, y, z) => {
            let ((y, ys), (z, zs)) = pair(b, y, z);
            let (x, xs) = pick(x);
            let lanes = xs.len().min(ys.len());
            let [x, y, z] = [x, y, z].map(|plane| b.slice(plane, 0, lanes as u32));
            let bits = (0..lanes).map(|i| if xs[i] { ys[i] } else { zs[i] }).collect();
            (b.mux(x, y, z), bits)
        }
        Call::Not(x) => {
            let (x, xs) = pick(x);
            (b.not(x), xs.into_iter().map(|x| !x).collect())
        }
        Call::Gather(x, map) => {
            let (x, xs) = pick(x);
            let map: Vec<u32> =
                map.iter().filter(|_| !xs.is_empty()).map(|lane| lane % xs.len() as u32).collect();
            let bits = map.iter().map(|lane| xs[*lane as usize]).collect();
            let map = b.map(map);
            (b.gather(x, map), bits)
        }
        Call::Slice(x, start, len) => {
            let (x, xs) = pick(x);
            let start = (start as usize).min(xs.len());
            let len = (len as usize).min(xs.len() - start);
            (b.slice(x, start as u32, len as u32), xs[start..start + len].to_vec())
        }
        Call::Concat(parts) => {
            let (planes, bits): (Vec<_>, Vec<_>) = parts.into_iter().map(pick).unzip();
            // Long planes would only grow and grow.
            let joined = b.concat(&planes);
            let bits = bits.concat();
            let lanes = bits.len().min(12);
            (b.slice(joined, 0, lanes as u32), bits[..lanes].to_vec())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is folded, shared, composed or dropped, the circuit computes what was asked for.
    #[test]
    fn folding_never_changes_a_value(
        inputs in vec(vec(any::<bool>(), 0..6), 1..5),
        calls in vec(call(), 0..40),
    ) {
        let mut b = Builder::new();
        let shape: Vec<u32> = inputs.iter().map(|bits| bits.len() as u32).collect();
        let mut all: Vec<Shadow> = b.input(&shape).into_iter().zip(inputs.clone()).collect();
        for call in &calls {
            let next = make(&mut b, &all, call);
            prop_assert_eq!(b.lanes_of(next.0) as usize, next.1.len());
            all.push(next);
        }
        for (plane, _) in &all {
            b.output(&[*plane]);
        }
        let program = b.finish().unwrap();
        prop_assert_eq!(program.check(), Ok(()));
        let out = program.evaluate(&[inputs.concat().into_iter().collect()]).unwrap();
        for (bits, (_, expected)) in out.iter().zip(&all) {
            prop_assert_eq!(&bits.iter().collect::<Vec<_>>(), expected);
        }
    }
}
