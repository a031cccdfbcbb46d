//! The sandbox's helper process as a program of its own, for embedders who do not want to call
//! [`grange_sandbox::init_main`] in theirs.

fn main() -> std::process::ExitCode {
    grange_sandbox::init_main();
    eprintln!("grange-sandbox-init is started by Grange's sandbox, not by hand");
    std::process::ExitCode::from(64)
}
