//! The command without a wheel, for development and the tests: the Python that runs front and workers, and the directory
//! of their start files, come from the environment (`GILKEEPER_DEV_PYTHON`, `GILKEEPER_DEV_PACKAGE`).
#![forbid(unsafe_code)]

use gk_supervisor::PythonRuntime;

fn main() {
    let from = |name: &str, default: &str| std::env::var_os(name).unwrap_or_else(|| default.into());
    let python = from("GILKEEPER_DEV_PYTHON", "python3");
    let package = from("GILKEEPER_DEV_PACKAGE", "python/gilkeeper");
    let package = std::path::absolute(&package).unwrap_or_else(|_| package.into());
    let runtime = PythonRuntime::new(python, package);
    let runtime = match std::env::current_exe() {
        Ok(program) => runtime.with_program(program),
        Err(_) => runtime,
    };
    std::process::exit(gk_cli::main(std::env::args_os().collect(), runtime));
}
