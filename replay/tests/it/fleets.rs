//! Fleets, read and drawn up.

use grange_replay::{Fleet, SPEEDS, Speeds};

#[test]
fn a_fleet_is_read() {
    let text = "[[machine]]\nsystems = [\"x86_64-linux\"]\n\
                [[machine]]\nname = \"big\"\ncount = 2\nsystems = [\"x86_64-linux\"]\nspeed = 2.5\nslots = 8\nahead = 1\n";
    let fleet = Fleet::read(text).unwrap();
    let names: Vec<&str> = fleet.machines().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["machine-1", "big-1", "big-2"]);
    assert_eq!((fleet.slots(), fleet.capacity()), (17, 41.0));
    assert_eq!(fleet.fastest(), 2.5);
}

#[test]
fn what_is_no_fleet_is_refused() {
    for (text, expected) in [
        ("", "fleet: there is no machine in it"),
        (
            "[[machine]]\ncount = 0\nsystems = [\"s\"]",
            "fleet: there is no machine in it",
        ),
        (
            "[[machine]]\nsystems = [\"s\"]\nspeed = -1.0",
            "fleet: machine machine-1: speed -1 is not between 0.001 and 1000",
        ),
        (
            "[[machine]]\nsystems = [\"s\"]\nspeed = nan",
            "fleet: machine machine-1: speed NaN is not between 0.001 and 1000",
        ),
        (
            "[[machine]]\nsystems = [\"s\"]\nspeed = 1e-300",
            "fleet: machine machine-1: speed 0.000",
        ),
        (
            "[[machine]]\nsystems = [\"s\"]\nspeed = 1001.0",
            "fleet: machine machine-1: speed 1001 is not between 0.001 and 1000",
        ),
        (
            "[[machine]]\ncount = 11\nsystems = [\"s\"]\nslots = 1000000",
            "fleet: 11000000 slots in all; at most 10000000",
        ),
        (
            "[[machine]]\nsystems = [\"s\"]\nslots = 0",
            "fleet: machine machine-1: it has no slots",
        ),
        (
            "[[machine]]\nsystems = []",
            "fleet: machine machine-1: it has no systems",
        ),
        (
            "[[machine]]\ncount = 4000000000\nsystems = [\"s\"]",
            "fleet: over 100000 machines",
        ),
        (
            "\n[[machine]]\nspeed = 1.0",
            "fleet: line 2: missing field `systems`",
        ),
    ] {
        let error = Fleet::read(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn speeds_are_spread_and_slots_shared_out() {
    let speeds = Speeds {
        machines: 40,
        slowest: 0.5,
        fastest: 4.0,
        systems: vec!["x86_64-linux".to_owned()],
    };
    for capacity in [100.0, 333.3, 5_000.0] {
        let fleet = speeds.fleet(capacity).unwrap();
        assert_eq!(fleet.machines().len(), 40);
        assert_eq!(fleet.machines()[0].speed, 0.5);
        assert!((fleet.fastest() - 4.0).abs() < 1e-9);
        assert!(
            (fleet.capacity() - capacity).abs() < 4.0,
            "{}",
            fleet.capacity()
        );
    }
    assert_eq!(speeds.fleet(0.0).unwrap().slots(), 40);
    assert_eq!(speeds.with_slots(7).unwrap().slots(), 40);
    assert_eq!(speeds.with_slots(10_000_000).unwrap().slots(), 10_000_000);
    assert!(speeds.with_slots(10_000_001).is_err());
    assert!(speeds.fleet(f64::INFINITY).is_err());
    let none = Speeds {
        slowest: -0.5,
        ..speeds.clone()
    };
    assert!(none.fleet(10.0).is_err());
    let many = Speeds {
        machines: u32::MAX,
        ..speeds.clone()
    };
    assert!(many.fleet(10.0).is_err());
    // The ends belong to it, whatever rounding does.
    for machines in 1..200 {
        let widest = Speeds {
            machines,
            slowest: *SPEEDS.start(),
            fastest: *SPEEDS.end(),
            ..speeds.clone()
        };
        assert!(widest.fleet(10.0).is_ok(), "{machines}");
    }
}
