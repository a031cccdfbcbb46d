use crate::fixture::{FirstOutput, farm};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure() {
    for d in [
        grange_derivation::Dialect::Guix,
        grange_derivation::Dialect::Nix,
    ] {
        let farm = farm(d).await.unwrap();
        let mut times = vec![];
        for i in 0..200 {
            let drv = farm.drv(farm.shell(&format!("m-{i}"), "echo hello > $out"));
            let job = farm.job(&drv);
            let t = std::time::Instant::now();
            farm.run(&job, grange_interfaces::Stop::never())
                .await
                .built();
            times.push(t.elapsed().as_micros());
            let _ = drv.out();
        }
        times.sort();
        println!(
            "{d}: p10 {} median {} p90 {} max {} us",
            times[20], times[100], times[180], times[199]
        );
    }
}
