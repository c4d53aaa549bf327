//! `spiderpoolctl`; see the library.

fn main() -> std::process::ExitCode {
    spiderpool_ctl::main()
}
