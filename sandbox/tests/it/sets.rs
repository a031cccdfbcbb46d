//! The derivation sets that real daemons are tested with, each with what comes of it there.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use grange_derivation::nar;
use grange_derivation::{Builder as Author, Dialect, Hash, HashAlgo, Instantiated};
use grange_interfaces::BuildError;
use grange_model::{FailureKind, SetupProblem};

use crate::fixture::{Farm, FirstOutput, Outcome, add_nar, farm};
use crate::for_both_dialects;

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

fn join(farm: &Farm, name: &str, inputs: &[Instantiated]) -> Instantiated {
    let files: Vec<_> = inputs.iter().map(|input| input.out().to_string()).collect();
    let script = format!("cat {} > $out; echo {name} >> $out", files.join(" "));
    let author = inputs
        .iter()
        .fold(farm.shell(name, &script), |author, input| {
            author.input(input, &["out"])
        });
    farm.drv(author)
}

fn fixed(farm: &Farm, name: &str, script: &str, content: &str) -> Instantiated {
    farm.drv(
        farm.shell(name, script)
            .fixed(false, Hash::sha256(content.as_bytes())),
    )
}

for_both_dialects! {
    async fn single(farm) {
        let drv = farm.drv(farm.shell("single", "echo hello > $out"));
        let outcome = farm.build(&drv).await;
        let [output] = &outcome.built().outputs[..] else { panic!("one output") };
        assert_eq!(output.name, "out");
        assert_eq!(farm.read(drv.out()), "hello\n");
        assert_eq!(output.nar_hash.0, Hash::sha256(&nar::of_file(b"hello\n")).to_sha256().unwrap());
        assert_eq!(output.nar_size, nar::of_file(b"hello\n").len() as u64);
        assert_eq!(output.references, []);
        let info = farm.store.info(drv.out()).unwrap();
        assert_eq!(info.deriver, Some(drv.path.clone()));
        assert_eq!((info.nar_hash, info.nar_size), (output.nar_hash, output.nar_size));
    }

    async fn chain(farm) {
        let mut last = farm.drv(farm.shell("chain-1", "echo step 1 > $out"));
        for step in 2..=5 {
            let script = format!("{{ cat {}; echo step {step}; }} > $out", last.out());
            last = farm.drv(farm.shell(&format!("chain-{step}"), &script).input(&last, &["out"]));
        }
        farm.build_all(&last).await.built();
        assert_eq!(farm.read(last.out()), "step 1\nstep 2\nstep 3\nstep 4\nstep 5\n");
    }

    async fn dag(farm) {
        let leaf = |i: usize| farm.drv(farm.shell(&format!("dag-leaf-{i}"), &format!("echo leaf {i} > $out")));
        let leaves: Vec<_> = (0..30).map(leaf).collect();
        let mid = |i: usize| {
            let of = [2 * i, 2 * i + 1, (7 + 3 * i) % 30].map(|at| leaves[at].clone());
            join(&farm, &format!("dag-mid-{i}"), &of)
        };
        let mid: Vec<_> = (0..15).map(mid).collect();
        let top: Vec<_> =
            mid.chunks(4).enumerate().map(|(i, mid)| join(&farm, &format!("dag-top-{i}"), mid)).collect();
        let root = join(&farm, "dag-root", &top);
        farm.build_all(&root).await.built();
        let text = farm.read(root.out());
        assert_eq!(text.lines().filter(|line| line.starts_with("leaf ")).count(), 45);
        assert_eq!(text.lines().last(), Some("dag-root"));
    }

    async fn multi(farm) {
        let script = "mkdir $out $lib; echo lib > $lib/lib; echo $lib > $out/ref; echo doc > $doc";
        let drv = farm.drv(farm.shell("multi", script).output("out").output("lib").output("doc"));
        let outcome = farm.build(&drv).await;
        let built = outcome.built();
        let out = built.outputs.iter().find(|output| output.name == "out").unwrap();
        assert_eq!(out.references, [drv.output("lib").unwrap().clone()]);
        let script = format!("cat {}/lib > $out", drv.output("lib").unwrap());
        let user = farm.drv(farm.shell("multi-user", &script).input(&drv, &["lib"]));
        farm.build(&user).await.built();
        assert_eq!(farm.read(user.out()), "lib\n");
    }

    async fn tree(farm) {
        let script = "mkdir -p $out/bin $out/empty
printf '#!%s sh\\necho hi\\n' $bb > $out/bin/hi; $bb chmod 755 $out/bin/hi
$bb ln -s hi $out/bin/link; $bb ln -s /nonexistent $out/dangling; echo $out > $out/self
: > $out/empty-file; echo x > \"$out/name with spaces\"; $bb chmod 640 $out/empty-file
$bb ln $out/self $out/hard-link; $bb mkfifo /tmp/pipe";
        let drv = farm.drv(farm.shell("tree", script));
        let outcome = farm.build(&drv).await;
        let mut expected = vec![farm.busybox.clone(), drv.out().clone()];
        expected.sort();
        assert_eq!(outcome.built().outputs[0].references, expected);
        let root = farm.store.real_path(drv.out()).unwrap();
        for (name, mode) in [("", 0o555), ("bin", 0o555), ("bin/hi", 0o555), ("empty-file", 0o444), ("hard-link", 0o444)] {
            let metadata = std::fs::symlink_metadata(root.join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{name}");
            assert_eq!(metadata.mtime(), 1, "{name}");
            assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw(), "{name}");
        }
        assert_eq!(std::fs::symlink_metadata(root.join("dangling")).unwrap().mtime(), 1);
    }

    async fn failures(farm) {
        let bad = farm.drv(farm.shell("fail", "echo about to fail; echo on stderr >&2; exit 3"));
        let outcome = farm.build(&bad).await;
        assert_eq!(kind(&outcome), &FailureKind::Exit(3));
        assert_eq!(outcome.log, b"about to fail\non stderr\n");
        assert!(farm.store.info(bad.out()).is_none());
        let dependent = farm.drv(farm.shell("fail-dependent", &format!("cat {} > $out", bad.out())).input(&bad, &["out"]));
        assert_eq!(
            problem(&farm.build(&dependent).await),
            &SetupProblem::MissingInputs(vec![grange_model::Digest(*bad.out().digest())])
        );
        let none = farm.drv(farm.shell("fail-no-output", "echo fine; true"));
        assert_eq!(kind(&farm.build(&none).await), &FailureKind::MissingOutput("out".to_owned()));
        let second = farm.drv(farm.shell("fail-no-second-output", "echo fine > $out").output("out").output("lib"));
        assert_eq!(kind(&farm.build(&second).await), &FailureKind::MissingOutput("lib".to_owned()));
        assert!(farm.store.info(second.output("out").unwrap()).is_none());
        // Process 1 of a namespace survives its own signals.
        let signal = farm.drv(farm.shell("fail-signal", "kill -9 $$"));
        assert_eq!(kind(&farm.build(&signal).await), &FailureKind::MissingOutput("out".to_owned()));
    }

    async fn fixed_outputs(farm) {
        farm.build(&fixed(&farm, "fixed", "printf data > $out", "data")).await.built();
        let wrong = fixed(&farm, "fixed-wrong", "printf other > $out", "data, other");
        let outcome = farm.build(&wrong).await;
        assert_eq!(kind(&outcome), &FailureKind::HashMismatch);
        let message = outcome.error().to_string();
        for hash in ["data, other", "other"].map(|text| Hash::sha256(text.as_bytes())) {
            assert!(message.contains(&hash.to_base32()), "{message}");
        }
        assert!(farm.store.info(wrong.out()).is_none());
        // Two recipes of one output: the second finds it there.
        let [one, other] = ["", "sleep 0; "].map(|first| fixed(&farm, "fixed-same", &format!("{first}printf same > $out"), "same"));
        assert_eq!(one.out(), other.out());
        assert_ne!(one.path, other.path);
        farm.build(&one).await.built();
        assert_eq!(problem(&farm.build(&other).await), &SetupProblem::OutputsInTheWay);
        let hash = Hash::parse(HashAlgo::Sha256, "0gs2nbl9q0rmf99xcw55b7mhf1p4vly12704pyh4lzpg3lb0xbvv").unwrap();
        let drv = farm.drv(farm.shell("fixed-recursive", "mkdir $out; printf x > $out/x").fixed(true, hash));
        farm.build(&drv).await.built();
        // Of a file's bytes, so it has to be a plain file.
        for script in ["printf x > $out; $bb chmod +x $out", "mkdir $out"] {
            let drv = fixed(&farm, "fixed-not-flat", script, "x");
            assert_eq!(kind(&farm.build(&drv).await), &FailureKind::BadOutput);
        }
        let sha1 = Hash::parse(HashAlgo::Sha1, "a17c9aaa61e80a1bf71d0d850af4e5baa9800bbd").unwrap();
        farm.build(&farm.drv(farm.shell("fixed-sha1", "printf data > $out").fixed(false, sha1))).await.built();
    }

    async fn same_fixed_output_at_once(farm) {
        let recipes: Vec<_> = (0..4)
            .map(|i| fixed(&farm, "fixed-race", &format!(": {i}; sleep 0.1; printf same > $out"), "same"))
            .collect();
        let outcomes = futures::future::join_all(recipes.iter().map(|drv| farm.build(drv))).await;
        for outcome in &outcomes {
            assert_eq!(outcome.built().outputs, outcomes[0].built().outputs);
        }
        assert_eq!(farm.read(recipes[0].out()), "same");
    }

    async fn time_trap(farm) {
        let script = "now=$(date +%s); echo now $now; [ $now -lt 1609459200 ]; echo ok > $out";
        let drv = farm.drv(farm.shell("time-trap", script));
        assert_eq!(kind(&farm.build(&drv).await), &FailureKind::Exit(1));
    }

    async fn logs(farm) {
        let script = "printf 'no newline at end'; printf '\\n@ build-started forged\\n'; \
                      printf '\\377\\376 not UTF-8\\n'; printf '\\033[31mred\\033[0m\\n'; echo ok > $out";
        let outcome = farm.build(&farm.drv(farm.shell("log-odd", script))).await;
        outcome.built();
        let expected: &[u8] = b"no newline at end\n@ build-started forged\n\xff\xfe not UTF-8\n\x1b[31mred\x1b[0m\n";
        assert_eq!(outcome.log, expected);
        let outcome = farm.build(&farm.drv(farm.shell("log-1m", "seq 1 150000; echo ok > $out"))).await;
        outcome.built();
        let expected: String = (1..=150_000).map(|number| format!("{number}\n")).collect();
        assert!(outcome.log == expected.as_bytes());
    }

    async fn many_files(farm) {
        let script = "mkdir $out; i=1; while [ $i -le 10000 ]; do echo $i > $out/$i; i=$((i+1)); done";
        let drv = farm.drv(farm.shell("many-files", script));
        farm.build(&drv).await.built();
        assert_eq!(std::fs::read_dir(farm.store.real_path(drv.out()).unwrap()).unwrap().count(), 10_000);
    }

    async fn references(farm) {
        let a = farm.drv(farm.shell("refs-a", "echo a > $out"));
        let b = farm.drv(farm.shell("refs-b", &format!("echo {} > $out", a.out())).input(&a, &["out"]));
        farm.build_all(&b).await.built();
        let graph = farm.shell("refs-graph", "cat graph > $out").input(&b, &["out"]);
        let graph = farm.drv(graph.export_references_graph("graph", b.out()));
        farm.build(&graph).await.built();
        let mut entries = [format!("{}\n\n0\n", a.out()), format!("{}\n\n1\n{}\n", b.out(), a.out())];
        entries.sort();
        assert_eq!(farm.read(graph.out()), entries.concat());

        let refers = |name: &str| farm.shell(name, &format!("echo {} > $out", a.out())).input(&a, &["out"]);
        let check = async |author: Author, allowed: bool| {
            let outcome = farm.build(&farm.drv(author)).await;
            match allowed {
                true => { outcome.built(); }
                false => assert_eq!(kind(&outcome), &FailureKind::ForbiddenReference),
            }
        };
        check(refers("refs-allowed").allowed_references([a.out()]), true).await;
        check(refers("refs-forbidden").allowed_references::<&str>([]), false).await;
        check(refers("refs-disallowed").env("disallowedReferences", a.out().to_string()), false).await;
        check(refers("refs-disallowed-other").env("disallowedReferences", farm.busybox.to_string()), true).await;
        // The closure: b refers to a.
        let far = |name: &str| farm.shell(name, &format!("echo {} > $out", b.out())).input(&b, &["out"]);
        check(far("requisites-not-direct").allowed_references([b.out()]), true).await;
        check(far("requisites-forbidden").env("allowedRequisites", b.out().to_string()), false).await;
        check(far("requisites-allowed").env("allowedRequisites", format!("{} {}", a.out(), b.out())), true).await;
        check(far("requisites-disallowed").env("disallowedRequisites", a.out().to_string()), false).await;
        // To itself, by the output's name; of closures, outputs themselves are no part.
        let own = |name: &str| farm.shell(name, "echo $out > $out");
        check(own("self-forbidden").allowed_references::<&str>([]), false).await;
        check(own("self-allowed").allowed_references(["out"]), true).await;
        check(own("self-requisites").env("allowedRequisites", ""), true).await;
        let outcome = farm.build(&farm.drv(own("bad-reference").allowed_references(["/elsewhere"]))).await;
        assert_eq!(kind(&outcome), &FailureKind::Other);
        let odd = farm.shell("odd-graph", "echo > $out").env("exportReferencesGraph", "one");
        assert_eq!(kind(&farm.build(&farm.drv(odd)).await), &FailureKind::Other);
        let unknown = farm.drv(farm.shell("unknown", "echo > $out"));
        let graph = farm.shell("invalid-graph", "echo > $out").export_references_graph("graph", unknown.out());
        assert_eq!(kind(&farm.build(&farm.drv(graph)).await), &FailureKind::Other);
    }

    async fn graph_of_a_derivation_has_its_outputs(farm) {
        let a = farm.drv(farm.shell("graph-a", "echo a > $out"));
        farm.build(&a).await.built();
        let text = add_text(&farm, &a).await;
        let graph = farm.shell("graph-drv", "cat graph > $out").source(text.clone());
        let graph = farm.drv(graph.export_references_graph("graph", &text));
        farm.build(&graph).await.built();
        let graph = farm.read(graph.out());
        for path in [&text, a.out(), &farm.busybox] {
            assert!(graph.lines().any(|line| line == path.to_string()), "{path} is not in {graph}");
        }
    }

    async fn properties(farm) {
        for (name, value) in [("preferLocalBuild", "1"), ("allowSubstitutes", "0")] {
            farm.build(&farm.drv(farm.shell(name, "echo x > $out").env(name, value))).await.built();
        }
        let feature = |name: &str| farm.drv(farm.shell(name, "echo x > $out").required_system_features([name]));
        assert_eq!(problem(&farm.build(&feature("no-such-feature")).await), &SetupProblem::Unsupported);
        farm.build(&feature("big-parallel")).await.built();
        for (name, value) in [("__json", "{}"), ("__noChroot", "1")] {
            let drv = farm.drv(farm.shell("unsupported", "echo x > $out").env(name, value));
            assert_eq!(problem(&farm.build(&drv).await), &SetupProblem::Unsupported);
        }
    }

    async fn other_system(farm) {
        let busybox = format!("{}/bin/busybox", farm.busybox);
        let drv = Author::new(&farm.store_dir(), "other-system", "riscv64-linux", busybox).source(farm.busybox.clone());
        let outcome = farm.build(&farm.drv(drv)).await;
        assert_eq!(problem(&outcome), &SetupProblem::Unsupported);
        assert!(outcome.error().to_string().contains("riscv64-linux"));
    }

    async fn builders_that_cannot_be_run(farm) {
        let store = farm.store_dir();
        let file = add_nar(&farm.store, "text", nar::of_file(b"no program")).await;
        for builder in [file.to_string(), format!("{file}/x"), "/proc/self/exe".to_owned(), "/bin/sh".to_owned()] {
            let drv = Author::new(&store, "no-program", "x86_64-linux", builder.clone()).source(file.clone());
            let outcome = farm.build(&farm.drv(drv)).await;
            assert_eq!(kind(&outcome), &FailureKind::Other);
            assert!(outcome.error().to_string().contains(&builder), "{}", outcome.error());
        }
        let drv = Author::new(&store, "no-builtin", "builtin", "builtin:no-such");
        assert_eq!(problem(&farm.build(&farm.drv(drv)).await), &SetupProblem::Unsupported);
        let drv = Author::new(&store, "not-fixed", "builtin", "builtin:download").env("url", "\"http://localhost\"");
        assert_eq!(kind(&farm.build(&farm.drv(drv)).await), &FailureKind::Other);
    }

    async fn bad_outputs(farm) {
        for script in [
            "$bb mkfifo $out",
            "mkdir $out; $bb mkfifo $out/pipe",
            "echo x > $out; $bb chmod 666 $out",
            "echo x > $out; $bb chmod 664 $out",
        ] {
            let drv = farm.drv(farm.shell("bad-output", script));
            assert_eq!(kind(&farm.build(&drv).await), &FailureKind::BadOutput, "{script}");
            assert!(farm.store.info(drv.out()).is_none());
        }
    }

    async fn c(farm) {
        let Some(tcc) = farm.tcc().await else { return eprintln!("skipped: no tcc among the seeds") };
        let cc = format!("tcc={tcc}
cc() {{ $tcc/lib/ld-linux-x86-64.so.2 --library-path $tcc/lib $tcc/bin/tcc -B$tcc/lib/tcc -nostdinc -nostdlib -I$tcc/include -I$tcc/lib/tcc/include \"$@\"; }}
link() {{ o=$1; shift; cc -static -o $o $tcc/lib/musl/crt1.o $tcc/lib/musl/crti.o \"$@\" $tcc/lib/musl/libc.a $tcc/lib/tcc/libtcc1.a $tcc/lib/musl/libc.a $tcc/lib/musl/crtn.o; }}
");
        let fib = add_nar(&farm.store, "fib.c", nar::of_file(b"int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }\n")).await;
        let main = "#include <stdio.h>\n#include <stdlib.h>\nint fib(int);\nint main(int c, char **v) { printf(\"fib %d\\n\", fib(c > 1 ? atoi(v[1]) : 20)); return 0; }\n";
        let main = add_nar(&farm.store, "main.c", nar::of_file(main.as_bytes())).await;
        let script = format!("{cc}mkdir $out; cc -c -o $out/fib.o {fib}");
        let object = farm.drv(farm.shell("c-fib-object", &script).source(tcc.clone()).source(fib));
        let script = format!("{cc}mkdir -p $out/bin; cc -c -o main.o {main}; link $out/bin/fib main.o {}/fib.o", object.out());
        let program = farm.drv(farm.shell("c-fib", &script).source(tcc.clone()).source(main).input(&object, &["out"]));
        let script = format!("[ \"$({}/bin/fib)\" = 'fib 6765' ]; echo passed > $out", program.out());
        let test = farm.drv(farm.shell("c-fib-test", &script).input(&program, &["out"]));
        farm.build_all(&test).await.built();
        assert_eq!(farm.read(test.out()), "passed\n");
        let script = format!("{cc}echo 'int main( {{ return 0; }}' > bad.c; cc -c -o $out bad.c");
        let error = farm.drv(farm.shell("c-error", &script).source(tcc));
        assert_eq!(kind(&farm.build(&error).await), &FailureKind::Exit(1));
    }

    async fn nondeterministic(farm) {
        let drv = farm.drv(farm.shell("nondeterministic", "cat /proc/sys/kernel/random/uuid > $out"));
        farm.build(&drv).await.built();
        let first = farm.read(drv.out());
        grange_interfaces::LocalStore::delete(&*farm.store, drv.out()).await.unwrap();
        farm.build(&drv).await.built();
        assert_ne!(farm.read(drv.out()), first);
    }
}

/// Puts a derivation's text into the store.
async fn add_text(farm: &Farm, drv: &Instantiated) -> grange_derivation::StorePath {
    let nar = nar::of_file(&drv.text);
    let info = grange_interfaces::ItemInfo {
        path: drv.path.clone(),
        nar_hash: grange_model::NarHash(Hash::sha256(&nar).to_sha256().unwrap()),
        nar_size: nar.len() as u64,
        references: drv.derivation.references().into_iter().collect(),
        deriver: None,
    };
    let body = futures::StreamExt::boxed(futures::stream::iter([Ok(nar.into())]));
    grange_interfaces::LocalStore::import(&*farm.store, &info, body)
        .await
        .unwrap();
    info.path
}

// Large ones, for one dialect: they do not depend on it.

#[tokio::test]
async fn log_of_55_megabytes() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let outcome = farm
        .build(&farm.drv(farm.shell("log-50m", "seq 1 7000000; echo ok > $out")))
        .await;
    outcome.built();
    assert_eq!(outcome.log.len(), 54_888_896);
    assert!(outcome.log.ends_with(b"\n6999999\n7000000\n"));
}

#[tokio::test]
async fn log_of_55_megabytes_in_one_line() {
    let Some(farm) = farm(Dialect::Nix).await else {
        return;
    };
    let script = "dd if=/dev/zero bs=1M count=55 2> /dev/null; echo ok > $out";
    let outcome = farm.build(&farm.drv(farm.shell("log-line", script))).await;
    outcome.built();
    assert_eq!(outcome.log.len(), 55 << 20);
    assert!(outcome.log.iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn output_of_100_megabytes() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let drv = farm.drv(farm.shell("big-100m", "dd if=/dev/urandom of=$out bs=1M count=100"));
    let outcome = farm.build(&drv).await;
    let nar_size = outcome.built().outputs[0].nar_size;
    assert_eq!(nar_size, (100 << 20) + 112);
}
