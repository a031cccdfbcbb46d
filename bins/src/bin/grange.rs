//! `grange`: see `grange --help`.

fn main() -> std::process::ExitCode {
    grange_bins::commands::main()
}
