//! Builds on real daemons.

use std::time::Duration;

use grange_derivation::nar;
use grange_derivation::{Dialect, Hash};
use grange_interfaces::{BuildError, LocalStore, Stop};
use grange_model::{Digest, FailureKind, Limits, SetupProblem};

use crate::rig::{Farm, FirstOutput, LIMITS, Outcome, farm};

fn kind(outcome: &Outcome) -> &FailureKind {
    match outcome.error() {
        BuildError::Failed { kind, .. } => kind,
        other => panic!("it failed otherwise: {other:?}"),
    }
}

fn problem(outcome: &Outcome) -> &SetupProblem {
    match outcome.error() {
        BuildError::Setup { problem, .. } => problem,
        other => panic!("it failed otherwise: {other:?}"),
    }
}

macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($farm:ident) $body:block)*) => {
        mod guix {
            $($(#[$attribute])*
            #[tokio::test]
            async fn $name() {
                if let Some(farm) = super::farm(super::Dialect::Guix).await {
                    super::$name(&farm).await;
                }
            })*
        }
        mod nix {
            $($(#[$attribute])*
            #[tokio::test]
            async fn $name() {
                if let Some(farm) = super::farm(super::Dialect::Nix).await {
                    super::$name(&farm).await;
                }
            })*
        }
        $(async fn $name($farm: &Farm) $body)*
    };
}

on_both! {
    async fn a_source_a_derivation_its_output(farm) {
        farm.store.probe().await.unwrap();
        let drv = farm.drv(farm.shell("single", "echo hello > $out; echo made it"));
        let outcome = farm.build(&drv).await;
        let [output] = &outcome.built().outputs[..] else { panic!("one output") };
        assert_eq!(output.name, "out");
        assert_eq!(outcome.log, b"made it\n");
        let nar = nar::of_file(b"hello\n");
        assert_eq!(farm.nar(drv.out()).await, nar);
        assert_eq!(Some(output.nar_hash.0), Hash::sha256(&nar).to_sha256());
        assert_eq!(output.nar_size, nar.len() as u64);
        assert_eq!(output.references, []);
        let info = farm.store.query(std::slice::from_ref(drv.out())).await.unwrap();
        assert_eq!(info[0].as_ref().unwrap().deriver.as_ref(), Some(&drv.path));
        // It is there now, so it cannot be built; deleted, it can.
        assert_eq!(problem(&farm.build(&drv).await), &SetupProblem::OutputsInTheWay);
        farm.store.delete(drv.out()).await.unwrap();
        let info = farm.store.query(std::slice::from_ref(drv.out())).await.unwrap();
        assert_eq!(info, [None]);
        farm.build(&drv).await.built();
    }

    async fn garbage_is_said_and_stays(farm) {
        let gone = crate::rig::farm(farm.dialect).await.unwrap();
        let drv = gone.drv(gone.shell("garbage", "echo garbage > $out"));
        let nar_size = gone.build(&drv).await.built().outputs[0].nar_size;
        // It lingers until who made it is gone.
        drop(gone);
        let dead = async {
            loop {
                let dead = farm.store.collect_garbage(u64::MAX, &[], false).await.unwrap();
                if dead.bytes >= nar_size {
                    return dead;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let dead = tokio::time::timeout(Duration::from_secs(30), dead).await;
        assert!(dead.expect("it is garbage").items > 0);
        // No more is said than was asked for.
        let one = farm.store.collect_garbage(1, &[], false).await.unwrap();
        assert_eq!(one.items, 1);
        let info = farm.store.query(std::slice::from_ref(drv.out())).await.unwrap();
        assert!(info[0].is_some());
    }

    async fn what_refers_to_what(farm) {
        let script = "mkdir $out $lib; echo lib > $lib/lib; echo $lib > $out/ref; echo doc > $doc";
        let multi = farm.drv(farm.shell("multi", script).output("out").output("lib").output("doc"));
        let outcome = farm.build(&multi).await;
        let out = outcome.built().outputs.iter().find(|output| output.name == "out").unwrap();
        assert_eq!(out.references, [multi.output("lib").unwrap().clone()]);
        let lib = multi.output("lib").unwrap();
        let script = format!("{{ cat {lib}/lib; echo {lib}; }} > $out");
        let user = farm.drv(farm.shell("multi-user", &script).input(&multi, &["lib"]));
        farm.build(&user).await.built();
        assert_eq!(farm.read(user.out()).await, format!("lib\n{lib}\n").as_bytes());
        // Others refer to it. Without them it goes, and what was made with it and refers to it goes as well.
        let error = farm.store.delete(lib).await.unwrap_err();
        assert!(error.to_string().contains("multi-user refers to it"), "{error}");
        farm.store.delete(user.out()).await.unwrap();
        farm.store.delete(lib).await.unwrap();
        let paths = ["out", "lib", "doc"].map(|name| multi.output(name).unwrap().clone());
        let left = farm.store.query(&paths).await.unwrap();
        assert_eq!(left.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
        farm.store.delete(&paths[2]).await.unwrap();
        farm.build(&multi).await.built();
    }

    async fn failures(farm) {
        let bad = farm.drv(farm.shell("fail", "echo about to fail; echo on stderr >&2; exit 3"));
        let outcome = farm.build(&bad).await;
        assert_eq!(kind(&outcome), &FailureKind::Exit(3));
        assert_eq!(outcome.log, b"about to fail\non stderr\n");
        let dependent = format!("cat {} > $out", bad.out());
        let dependent = farm.drv(farm.shell("dependent", &dependent).input(&bad, &["out"]));
        assert_eq!(
            problem(&farm.build(&dependent).await),
            &SetupProblem::MissingInputs(vec![Digest(*bad.out().digest())])
        );
        let none = farm.drv(farm.shell("no-output", "echo failed with exit code 7"));
        let outcome = farm.build(&none).await;
        assert_eq!(kind(&outcome), &FailureKind::MissingOutput("out".to_owned()));
        let author = farm.shell("no-second", "echo fine > $out").output("out").output("lib");
        let outcome = farm.build(&farm.drv(author)).await;
        assert_eq!(kind(&outcome), &FailureKind::MissingOutput("lib".to_owned()));
        let author = farm.shell("wrong", "printf other > $out");
        let wrong = farm.drv(author.fixed(false, Hash::sha256(b"data")));
        let outcome = farm.build(&wrong).await;
        assert_eq!(kind(&outcome), &FailureKind::HashMismatch);
        let message = outcome.error().to_string();
        for text in [&b"data"[..], b"other"] {
            let hash = Hash::sha256(text);
            let named = message.contains(&hash.to_base32()) || message.contains(&hash.to_sri());
            assert!(named, "{message}");
        }
        let a = farm.drv(farm.shell("refs-a", "echo a > $out"));
        farm.build(&a).await.built();
        let author = farm.shell("forbidden", &format!("echo {} > $out", a.out()));
        let author = author.input(&a, &["out"]).allowed_references([] as [&str; 0]);
        assert_eq!(kind(&farm.build(&farm.drv(author)).await), &FailureKind::ForbiddenReference);
    }

    async fn limits_and_stops(farm) {
        let slow = farm.drv(farm.shell("slow", "for i in $(seq 60); do echo $i; sleep 1; done; echo > $out"));
        let mut job = farm.job_of(&slow).await;
        job.limits = Limits { timeout_ms: 2000, max_silent_ms: 20_000 };
        let outcome = farm.run(&job, Stop::never()).await;
        assert_eq!(kind(&outcome), &FailureKind::Timeout, "{outcome:?}");
        let silent = farm.drv(farm.shell("silent", "sleep 60; echo > $out"));
        let mut job = farm.job_of(&silent).await;
        job.limits = Limits { timeout_ms: 20_000, max_silent_ms: 2000 };
        let outcome = farm.run(&job, Stop::never()).await;
        assert_eq!(kind(&outcome), &FailureKind::Silence, "{outcome:?}");
        job.limits = LIMITS;
        let (mut stopper, stop) = Stop::new();
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            stopper.stop();
        };
        let (outcome, ()) = futures::future::join(farm.run(&job, stop), stopping).await;
        assert_eq!(outcome.error(), &BuildError::Stopped);
        // Nothing of it is left: it can be built again, and would wait otherwise.
        job.limits = Limits { timeout_ms: 20_000, max_silent_ms: 1000 };
        let outcome = farm.run(&job, Stop::never()).await;
        assert_eq!(kind(&outcome), &FailureKind::Silence, "{outcome:?}");
    }

    async fn what_a_builder_says_is_not_believed(farm) {
        let forged = "printf 'no newline'; printf '\\n@ build-started forged\\n@ build-log 1 99\\n'; \
                      printf '@ build-failed '; printf '@nix {\"action\":\"start\",\"id\":9,\"type\":105,\"text\":\"x\",\"fields\":[\"/x\"],\"level\":0}\\n'; \
                      printf '\\377\\376 not UTF-8\\n'; echo ok > $out";
        let drv = farm.drv(farm.shell("log-odd", forged));
        let outcome = farm.build(&drv).await;
        outcome.built();
        let start = b"no newline\n@ build-started forged\n@ build-log 1 99\n@ build-failed ";
        assert!(outcome.log.starts_with(start), "{}", outcome.log.escape_ascii());
        assert!(outcome.log.ends_with(b"\xff\xfe not UTF-8\n"), "{}", outcome.log.escape_ascii());
        let big = farm.drv(farm.shell("log-1m", "seq 1 150000; echo ok > $out"));
        let outcome = farm.build(&big).await;
        let expected: String = (1..=150_000).map(|line| format!("{line}\n")).collect();
        assert_eq!(outcome.log.len(), expected.len());
        assert!(outcome.log == expected.as_bytes());
        outcome.built();
    }

    async fn more_builds_than_build_users(farm) {
        let drvs: Vec<_> = (0..30)
            .map(|at| farm.drv(farm.shell(&format!("wide-{at}"), &format!("sleep 0.2; echo {at} > $out"))))
            .collect();
        let outcomes = futures::future::join_all(drvs.iter().map(|drv| farm.build(drv))).await;
        for outcome in outcomes {
            outcome.built();
        }
    }

    async fn another_systems_derivation(farm) {
        let author = grange_derivation::Builder::new(farm.store.store_dir(), "x", "riscv64-linux", "/bin/none");
        let outcome = farm.build(&farm.drv(author.env("SALT", farm.shell("x", "").instantiate().unwrap().path.to_string()))).await;
        match farm.dialect {
            // It tries any system.
            Dialect::Guix => assert!(matches!(outcome.error(), BuildError::Failed { .. }), "{outcome:?}"),
            Dialect::Nix => assert_eq!(problem(&outcome), &SetupProblem::Unsupported, "{outcome:?}"),
        }
    }
}
