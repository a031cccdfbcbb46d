//! `grange-agent`: see `grange-agent --help`.

fn main() -> std::process::ExitCode {
    grange_bins::agent::main()
}
