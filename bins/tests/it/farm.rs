//! A coordinator and an agent as processes, asked with `grange`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use grange_bins::coordinator::Token;
use grange_derivation::{Builder, Instantiated, StoreDir};
use grange_sandbox::{Helper, check_support};

use crate::process::{AGENT, COORDINATOR, Coordinator, Ran, Running, grange, program, socket};

/// What a shell of the machine needs to run in the sandbox.
const SHELL: [&str; 5] = ["/bin", "/lib", "/lib32", "/lib64", "/usr"];

/// Whether this machine can build at all; says so if not.
pub(crate) fn can_build() -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // The test's own program is no helper, so the agent's is used.
    match runtime.block_on(check_support(&Helper::Program(PathBuf::from(AGENT)))) {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    }
}

/// A directory with derivations, as another store than the one that they are for.
pub(crate) struct Store(pub(crate) PathBuf);

impl Store {
    pub(crate) fn shell(
        &self,
        name: &str,
        script: &str,
        inputs: &[&Instantiated],
    ) -> (Instantiated, String) {
        let system = format!("{}-linux", std::env::consts::ARCH);
        let mut builder =
            Builder::new(&StoreDir::guix(), name, system, "/bin/sh").args(["-c", script]);
        for (number, input) in inputs.iter().enumerate() {
            let path = input.output("out").unwrap().to_string();
            builder = builder
                .input(input, &["out"])
                .env(format!("input{number}"), path);
        }
        let made = builder.instantiate().unwrap();
        let file = self.0.join(made.path.base_name());
        fs::write(&file, &made.text).unwrap();
        (made, file.to_str().unwrap().to_owned())
    }
}

pub(crate) fn start_agent(coordinator: &Coordinator, directory: &Path) -> Running {
    start_agent_with(coordinator, directory, &[])
}

pub(crate) fn start_agent_with(
    coordinator: &Coordinator,
    directory: &Path,
    more: &[&str],
) -> Running {
    let id = coordinator
        .grange(&["agent", "new", "--name", "rosa"])
        .expect(0)
        .stdout
        .trim()
        .to_owned();
    let again = coordinator
        .grange(&["agent", "new", "--name", "rosa", "--id", &id, "--json"])
        .expect(0);
    assert_eq!(again.json()[0]["id"], id.as_str());
    let password = coordinator
        .grange(&["agent", &id, "password", "new"])
        .expect(0)
        .stdout;
    let file = directory.join("password");
    fs::write(&file, password).unwrap();
    let mut command = program(AGENT);
    command.args([
        "--coordinator",
        &coordinator.url,
        "--uuid",
        &id,
        "--tag",
        "room=cellar",
    ]);
    command.args(["--max-parallel-builds", "2"]).args(more);
    command
        .arg("--password-file")
        .arg(file)
        .arg("--state-dir")
        .arg(directory.join("agent"));
    for path in SHELL.iter().filter(|path| Path::new(path).exists()) {
        command.args(["--sandbox-path", path]);
    }
    Running::new(command.stderr(Stdio::inherit()).spawn().unwrap())
}

#[test]
fn builds_are_made_shown_logged_listed_and_fetched() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    let agent = start_agent(&coordinator, directory.path());
    fs::create_dir(directory.path().join("drvs")).unwrap();
    let store = Store(directory.path().join("drvs"));

    let (hello, file) = store.shell("hello", "echo building; echo hello > $out", &[]);
    let ran = coordinator
        .grange(&["build", "--wait", "--json", "--tag", "user=alice", &file])
        .expect(0);
    let lines = ran.json();
    let id = lines[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&lines[1]["id"], &lines[1]["state"]),
        (&id.as_str().into(), &"succeeded".into()),
        "{lines:?}"
    );
    assert_eq!(lines[2]["succeeded"], 1, "{lines:?}");

    let shown = coordinator
        .grange(&["build", &id, "show", "--json"])
        .expect(0)
        .json()
        .remove(0);
    assert_eq!(shown["build"]["derivation"], hello.path.to_string());
    assert!(
        coordinator
            .grange(&["build", &id, "show"])
            .expect(0)
            .stdout
            .contains("can be fetched")
    );
    assert_eq!(
        coordinator.grange(&["build", &id, "log"]).expect(0).stdout,
        "building\n"
    );
    assert_eq!(
        coordinator
            .grange(&["build", &id, "log", "--follow", "--offset", "5"])
            .expect(0)
            .stdout,
        "ing\n"
    );
    let piece = coordinator
        .grange(&["build", &id, "log", "--json"])
        .expect(0)
        .json()
        .remove(0);
    assert_eq!(
        (&piece["text"], &piece["offset"]),
        (&"building\n".into(), &0.into())
    );

    let output = hello.output("out").unwrap().to_string();
    let place = directory.path().join("fetched");
    coordinator
        .grange(&["fetch", &output, "--to", place.to_str().unwrap()])
        .expect(0);
    assert_eq!(fs::read_to_string(&place).unwrap(), "hello\n");
    coordinator
        .grange(&["fetch", &output, "--to", place.to_str().unwrap()])
        .expect(1);

    // A failure and what depends on it: the status is that of the first word that applies.
    let (bad, bad_file) = store.shell("bad", "echo no >&2; exit 7", &[]);
    let (_, user_file) = store.shell("user", "cat $input0 $input1 > $out", &[&bad, &hello]);
    coordinator
        .grange(&["build", "--wait", &user_file])
        .expect(3);
    let ran = coordinator
        .grange(&["build", "--wait", &file, &user_file, &bad_file])
        .expect(2);
    assert!(
        ran.stdout.contains("failed-dependency /gnu/store/"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains(&format!("because of {}", bad.path)),
        "{ran:?}"
    );

    let listed = coordinator
        .grange(&["builds", "list", "--tag", "user=alice", "--json"])
        .expect(0)
        .json();
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &id.as_str().into()));
    let failed = coordinator
        .grange(&[
            "builds",
            "list",
            "--state",
            "failed-dependency",
            "--limit",
            "1",
        ])
        .expect(0);
    assert_eq!(failed.stdout.lines().count(), 2, "{failed:?}");
    assert_eq!(
        coordinator
            .grange(&[
                "builds",
                "list",
                "--after",
                &id,
                "--state",
                "succeeded",
                "--json"
            ])
            .expect(0)
            .json()
            .len(),
        1,
        "the second request for the same derivation"
    );

    let agents = coordinator
        .grange(&["agents", "list", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&agents[0]["name"], &agents[0]["present"]),
        (&"rosa".into(), &true.into())
    );
    assert_eq!(agents[0]["tags"]["room"], "cellar");
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(coordinator.running.stop(), Some(0));
}

#[test]
fn a_canceled_build_ends_the_waiting_with_4() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    let agent = start_agent(&coordinator, directory.path());
    let store = Store(directory.path().to_owned());
    let (_, file) = store.shell("endless", "echo begun; while :; do :; done", &[]);
    let id = uuid::Uuid::now_v7().to_string();
    let waiting = coordinator
        .command(&["build", "--wait", "--id", &id, &file])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    // Its log tells that it runs: `log --follow` goes on until it is canceled.
    let mut following = loop {
        let mut following = coordinator
            .command(&["build", &id, "log", "--follow"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 6];
        // Until the build was submitted, there is no such build.
        if std::io::Read::read_exact(following.stdout.as_mut().unwrap(), &mut first).is_ok() {
            assert_eq!(&first, b"begun\n");
            break following;
        }
        following.wait().unwrap();
    };
    let canceled = coordinator
        .grange(&["build", &id, "cancel", "--json"])
        .expect(0)
        .json()
        .remove(0);
    assert_eq!(canceled["state"], "canceled");
    Ran::from(waiting.wait_with_output().unwrap()).expect(4);
    assert_eq!(following.wait().unwrap().code(), Some(0));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn submissions_are_checked_and_told_about() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    let store = Store(directory.path().to_owned());
    let (first, first_file) = store.shell("first", "true", &[]);
    let (_, second_file) = store.shell("second", "true", &[&first]);

    let id = uuid::Uuid::now_v7().to_string();
    let submit = |file: &str| coordinator.grange(&["build", "--json", "--id", &id, file]);
    assert_eq!(submit(&first_file).expect(0).json()[0]["id"], id.as_str());
    assert_eq!(submit(&first_file).expect(0).json()[0]["id"], id.as_str());
    let refused = submit(&second_file).expect(1);
    assert!(
        refused.json()[0]["refused"]["message"].is_string(),
        "{refused:?}"
    );

    let ran = coordinator
        .grange(&["build", "--requires", "cpu=none", "--json", &second_file])
        .expect(0);
    assert_eq!(
        ran.json()[0]["warnings"].as_array().unwrap().len(),
        1,
        "nobody offers it: {ran:?}"
    );

    fs::write(&first_file, &first.text[..first.text.len() / 2]).unwrap();
    let broken = store.0.join("00000000000000000000000000000000-broken.drv");
    fs::write(
        &broken,
        "Derive([(\"out\",\"/gnu/store/00000000000000000000000000000000-broken\",\"\",\"\")]",
    )
    .unwrap();
    let ran = coordinator
        .grange(&["build", broken.to_str().unwrap()])
        .expect(1);
    assert!(
        ran.stderr.contains("(the request has to change)"),
        "{ran:?}"
    );
    let nobody = uuid::Uuid::now_v7().to_string();
    for arguments in [
        &["build", &nobody, "show"][..],
        &["build", &nobody, "log"],
        &["agent", &nobody, "show"],
    ] {
        let ran = coordinator.grange(arguments).expect(1);
        assert!(
            ran.stderr.contains("(the request names what is not there)"),
            "{ran:?}"
        );
    }
}

#[test]
fn agents_are_paused_tagged_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    let id = coordinator
        .grange(&["agent", "new"])
        .expect(0)
        .stdout
        .trim()
        .to_owned();
    let change = |words: &[&str]| {
        let mut arguments = vec!["agent", id.as_str(), "--json"];
        arguments.extend(words);
        coordinator.grange(&arguments).expect(0).json().remove(0)
    };
    assert_eq!(change(&["pause"])["paused"], true);
    assert_eq!(change(&["resume"])["paused"], false);
    assert_eq!(
        change(&["tags", "kvm=yes", "room=cellar"])["operator_tags"]["kvm"],
        "yes"
    );
    assert_eq!(change(&["tags"])["operator_tags"], serde_json::json!({}));
    assert!(
        change(&["password", "new"])["password"]
            .as_str()
            .unwrap()
            .len()
            >= 32
    );
    assert_eq!(change(&["show"])["passwords"], 1);
    assert_eq!(change(&["password", "revoke"])["passwords"], 0);
    assert_eq!(change(&["delete"])["deleted"], true);
    coordinator.grange(&["agent", &id, "show"]).expect(1);
}

#[test]
fn over_tcp_operators_need_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let token = Token::new();
    let (tokens, mine, other) = (
        directory.path().join("tokens"),
        directory.path().join("mine"),
        directory.path().join("other"),
    );
    fs::write(&tokens, token.line()).unwrap();
    fs::write(&mine, token.as_str()).unwrap();
    fs::write(&other, Token::new().as_str()).unwrap();
    let coordinator = Coordinator::start(
        directory.path(),
        &["--admin-token-file", tokens.to_str().unwrap()],
    );
    let list = |token: Option<&Path>| {
        let mut arguments = vec!["--coordinator", coordinator.url.as_str(), "agents", "list"];
        arguments.extend(
            token
                .into_iter()
                .flat_map(|file| ["--token-file", file.to_str().unwrap()]),
        );
        grange(&arguments)
    };
    list(Some(&mine)).expect(0);
    for refused in [list(None).expect(1), list(Some(&other)).expect(1)] {
        assert!(
            refused.stderr.contains("(other credentials are needed)"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_second_coordinator_is_told_that_the_first_one_runs() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    let elsewhere = format!("unix:{}", directory.path().join("second.sock").display());
    let second = |admin: &str| -> Ran {
        let mut command = program(COORDINATOR);
        command
            .arg("--state-dir")
            .arg(directory.path().join("coordinator"));
        command
            .arg("--artifacts")
            .arg(directory.path().join("other"));
        command
            .args(["--listen", "127.0.0.1:0", "--admin", admin])
            .output()
            .unwrap()
            .into()
    };
    let ran = second(&elsewhere).expect(1);
    assert!(
        ran.stderr
            .contains("another coordinator is using the datastore"),
        "{ran:?}"
    );
    let ran = second(&format!("unix:{}", socket(directory.path()).display())).expect(1);
    assert!(
        ran.stderr.contains("another process is listening"),
        "{ran:?}"
    );
    assert_eq!(coordinator.running.stop(), Some(0));

    let check = |state: &str| -> Ran {
        let state = directory.path().join(state);
        program(COORDINATOR)
            .args(["check", "--json", "--state-dir"])
            .arg(state)
            .output()
            .unwrap()
            .into()
    };
    assert_eq!(
        check("coordinator").expect(0).json()[0]["problems"],
        serde_json::json!([])
    );
    check("nothing").expect(1);
}
