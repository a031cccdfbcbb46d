//! Which cases fail on what is broken.

use std::collections::BTreeSet;
use std::fmt::Debug;

/// A defect is narrow if at most so many cases find it.
const NARROW: usize = 3;

/// A test for each defect: exactly these cases find it, the first of which is meant for it. And one for the suite: every
/// case is the one that is meant for a narrow defect. The first line says which suite, and how a bench is made of a defect.
#[macro_export]
macro_rules! found {
    ($suite:ident, $bench:expr; $($name:ident: $defect:ident => [$($case:ident),* $(,)?];)*) => {
        $(
            #[test]
            fn $name() {
                let bench = $bench;
                let failing = grange_testing::failing_cases!($suite, bench(Defect::$defect));
                $crate::found::compare(&Defect::$defect, &failing, &[$(stringify!($case)),*]);
            }
        )*

        #[test]
        fn every_case_is_meant_for_a_narrow_defect() {
            let cases = grange_testing::suite_cases!($suite);
            $crate::found::cover(&cases, &[$(&[$(stringify!($case)),*]),*]);
        }
    };
}

/// These cases found it; those should have, the first of them before all.
pub(crate) fn compare(defect: &dyn Debug, found: &[&str], expected: &[&str]) {
    if let Some(meant) = expected.first() {
        assert!(
            found.contains(meant),
            "{defect:?}: {meant} does not find it, but {found:?}"
        );
    }
    let [found, expected] = [found, expected].map(|cases| cases.iter().collect::<BTreeSet<_>>());
    assert_eq!(found, expected, "{defect:?}");
}

/// What finds each defect comes first in its list.
pub(crate) fn cover(cases: &[&str], defects: &[&[&str]]) {
    let narrow = defects.iter().filter(|found| found.len() <= NARROW);
    let meant: BTreeSet<_> = narrow.filter_map(|found| found.first()).collect();
    let idle: Vec<_> = cases.iter().filter(|case| !meant.contains(case)).collect();
    assert!(
        idle.is_empty(),
        "nothing shows that these find anything: {idle:?}"
    );
}
