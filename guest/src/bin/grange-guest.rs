//! What runs in a virtual build machine.

fn main() -> std::process::ExitCode {
    grange_guest::guest_main()
}
