//! Machines that do not allow sandboxes.

use std::process::Command;

use grange_sandbox::{Helper, NotSupported, check_support};

use crate::fixture::helper;

const CHILD: &str = "GRANGE_TEST_WITHOUT_NAMESPACES";

/// Runs itself once more where no more user namespaces can be made.
#[tokio::test]
async fn no_user_namespaces() {
    if std::env::var_os(CHILD).is_some() {
        let error = check_support(&helper()).await.unwrap_err();
        assert!(
            matches!(&error, NotSupported::Namespaces { missing, .. } if *missing == ["user"]),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("user.max_user_namespaces is 0"),
            "{error}"
        );
        return;
    }
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" --exact support::no_user_namespaces";
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(program)
        .env(CHILD, "1");
    match command.output() {
        Ok(output) if output.status.code() == Some(1) && !output.stderr.is_empty() => {
            eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(error) => eprintln!("skipped: no unshare: {error}"),
    }
}

#[tokio::test]
async fn helpers_that_are_none() {
    for program in ["/no/such/program", "/bin/true"] {
        let error = check_support(&Helper::Program(program.into()))
            .await
            .unwrap_err();
        assert!(
            matches!(error, NotSupported::Helper(_)),
            "{program}: {error:?}"
        );
    }
}
