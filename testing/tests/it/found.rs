//! Which cases fail on what is broken.

/// A test for each defect: exactly these cases fail. The first line says which suite, and how a bench
/// is made of a defect.
#[macro_export]
macro_rules! found {
    ($suite:ident, $bench:expr; $($name:ident: $defect:ident => [$($case:ident),* $(,)?];)*) => {
        $(
            #[test]
            fn $name() {
                let bench = $bench;
                let failing = grange_testing::failing_cases!($suite, bench(Defect::$defect));
                let expected: &[&str] = &[$(stringify!($case)),*];
                assert_eq!(failing, expected, "{:?}", Defect::$defect);
            }
        )*
    };
}
