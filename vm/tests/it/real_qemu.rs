//! A real QEMU, with nothing to boot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grange_vm::guest_system::GuestSystem;
use grange_vm::machine::Forward;
use grange_vm::qemu::{
    Accelerator, Boot, Emulator, EmulatorError, Launch, Memory, QemuCommand, QemuProcess,
    StartError,
};
use serde_json::json;

/// Where programs are.
fn search() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect()
}

/// QEMU, or why not.
async fn emulator() -> Option<Emulator> {
    match Emulator::find(Path::new("qemu-system-x86_64"), &search()).await {
        Ok(emulator) => Some(emulator),
        Err(error @ EmulatorError::Missing(_)) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn launch(directory: &Path) -> Launch {
    Launch {
        name: "empty".parse().unwrap(),
        system: GuestSystem::linux_x86_64(),
        cpu: "Cascadelake-Server".parse().unwrap(),
        cpu_count: 1,
        memory: Memory::Own,
        memory_mib: 128,
        date: "2020-01-01".parse().unwrap(),
        accelerator: Accelerator::Tcg,
        boot: Boot::Disk,
        disks: Vec::new(),
        vsock: None,
        forwards: Vec::new(),
        network: false,
        directory: directory.into(),
        further: vec!["-S".into()],
    }
}

#[tokio::test]
async fn it_is_asked_tells_what_it_lacks_and_ends() {
    let Some(emulator) = emulator().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let command = QemuCommand::new(&launch(directory.path()));
    let mut qemu = QemuProcess::start(&emulator, &command, None, directory.path(), None).unwrap();
    let limit = Duration::from_secs(60);
    let mut qmp = qemu
        .monitor(&directory.path().join("qmp"), limit)
        .await
        .unwrap();
    assert_eq!(qmp.run_state().await.unwrap().name(), "prelaunch");
    let lacks = qemu.missing_features();
    assert!(lacks.contains(&"avx512f".to_owned()), "{lacks:?}");
    qmp.execute("cont", json!({})).await.unwrap();
    assert!(qmp.run_state().await.unwrap().is_running());
    assert_eq!(qmp.event().await.unwrap().event, "RESUME");
    qmp.execute("quit", json!({})).await.unwrap();
    let ended = qemu.wait().await.unwrap();
    assert!(ended.status.success(), "{ended}");
}

#[tokio::test]
async fn what_it_complains_of_is_told_at_once() {
    let Some(emulator) = emulator().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut launch = launch(directory.path());
    launch.forwards = vec![Forward::new(port, 22)];
    let mut qemu = QemuProcess::start(
        &emulator,
        &QemuCommand::new(&launch),
        None,
        directory.path(),
        None,
    )
    .unwrap();
    let limit = Duration::from_secs(60);
    let error = qemu
        .monitor(&directory.path().join("qmp"), limit)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StartError::Ended(ended) if !ended.status.success()),
        "{error}"
    );
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn processors_that_it_does_not_know_are_told_with_those_that_it_knows() {
    let Some(emulator) = emulator().await else {
        return;
    };
    for era in grange_vm::machine::CpuEra::ALL {
        emulator
            .check_cpu(&era.model.parse().unwrap())
            .await
            .unwrap();
    }
    let error = emulator
        .check_cpu(&"westmeer".parse().unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("there is Westmere"), "{error}");
}

#[tokio::test]
async fn what_is_no_qemu_is_told() {
    let find = |program: PathBuf| async move { Emulator::find(&program, &[]).await.unwrap_err() };
    let error = find("/bin/echo".into()).await;
    assert!(
        matches!(&error, EmulatorError::Other { said, .. } if said == "--version" || said.contains("echo")),
        "{error}"
    );
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("qemu");
    std::fs::write(&old, "#!/bin/sh\necho QEMU emulator version 2.8.1\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&old, mode).unwrap();
    let error = find(old).await;
    assert!(matches!(error, EmulatorError::Old { .. }), "{error}");
    let error = find("/nowhere/qemu".into()).await;
    assert!(matches!(error, EmulatorError::Missing(_)), "{error}");
}
