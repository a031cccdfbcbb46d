//! The 51 samples.

use crate::facts::{compare, compare_masked, known_hashes, samples};
use crate::fixtures::hex;
use grange_derivation::{derivation_hash, masked_hash, verify_outputs};

#[test]
fn every_field_is_as_guix_reads_it() {
    let samples = samples("drv-samples");
    assert_eq!(samples.facts.len(), 51);
    for facts in &samples.facts {
        compare(&samples, facts);
        compare_masked(&samples, facts);
    }
}

#[test]
fn hashes_are_guixs_where_the_inputs_hashes_are_known() {
    let (samples, closure) = (samples("drv-samples"), samples("hello-closure"));
    let known = known_hashes(&[&samples, &closure]);
    let (mut hashes, mut fixed) = (0, 0);
    for facts in &samples.facts {
        let (_, derivation, _) = samples.derivation(facts);
        let Ok(hash) = derivation_hash(derivation, |path| known.get(path).copied()) else {
            continue;
        };
        assert_eq!(hash.to_string(), facts.derivation_hash, "{}", facts.file);
        hashes += 1;
        verify_outputs(derivation, |path| known.get(path).copied()).unwrap();
        match &facts.masked_hash {
            Some(masked) => {
                let ours = masked_hash(derivation, |path| known.get(path).copied()).unwrap();
                assert_eq!(hex(&ours), *masked, "{}", facts.file);
            }
            None => fixed += 1,
        }
    }
    assert_eq!(
        (hashes, fixed),
        (21, 17),
        "the hashes of other samples' inputs are not in the fixtures"
    );
}
