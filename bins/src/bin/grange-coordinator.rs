//! `grange-coordinator`: see `grange-coordinator --help`.

fn main() -> std::process::ExitCode {
    grange_bins::coordinator::main()
}
