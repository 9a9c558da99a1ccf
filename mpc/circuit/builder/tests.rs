use super::*;

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
        b.slice(both, 5, 2)
    });
    assert_eq!(program.maps, vec![vec![1, 2]]);
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
