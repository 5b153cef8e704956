//! The functions' binaries, never older than the sources.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The packages of the functions, and their binaries.
const FUNCTIONS: [&str; 7] = ["ingest", "notify", "verify", "audit", "compact", "review", "viewer"];

/// The variables that cargo sets for a test. A cargo below it would take them for changes and build everything anew.
const OF_THIS_TEST: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];

/// The path of a function's binary, say `ingest`, in the profile that the tests were built with.
///
/// `CARGO_BIN_EXE_…` knows only the binaries of the package under test, and a binary left in the target directory may
/// be older than the sources. So the first call of a test process has cargo build them, which takes half a second when
/// there is nothing to do.
pub(crate) fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let place = Place::of_this_test();
    if let Err(problem) = BUILT.get_or_init(|| build(&place)) {
        panic!("{problem}\nhint: tests/run builds the workspace first and then runs all tests");
    }
    let path = place.folder.join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "{} is missing\nhint: run the tests with tests/run", path.display());
    path
}

/// Where this test executable lies: `<target>[/<triple>]/<profile>/deps/<name>`.
struct Place {
    /// The folder with the binaries.
    folder: PathBuf,
    /// What makes cargo build into that folder.
    arguments: Vec<String>,
}

impl Place {
    fn of_this_test() -> Self {
        let executable = env::current_exe().expect("this executable");
        let folder = executable.ancestors().nth(2).expect("a profile's folder").to_owned();
        let above = folder.parent().expect("the target folder");
        let mut arguments = vec!["--profile".to_owned(), profile(&folder)];
        let target = if above.join("CACHEDIR.TAG").is_file() {
            above
        } else {
            arguments.extend(["--target".to_owned(), last_name(above)]);
            above.parent().expect("the target folder")
        };
        arguments.extend(["--target-dir".to_owned(), target.display().to_string()]);
        Self { folder, arguments }
    }
}

/// The profile that builds into a folder; only `dev` has another name there.
fn profile(folder: &Path) -> String {
    match last_name(folder).as_str() {
        "debug" => "dev".to_owned(),
        name => name.to_owned(),
    }
}

/// The last part of a path.
fn last_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Builds the functions; the error says what cargo said.
///
/// The root package is selected with them, and `--examples` counts its development dependencies in: so every library
/// gets the features that the tests were built with, and none is compiled a second time.
fn build(place: &Place) -> Result<(), String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "-p", "qtrail", "--examples"])
        .args(FUNCTIONS.iter().flat_map(|name| ["-p", name, "--bin", name]))
        .args(&place.arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let ours = |name: &str| OF_THIS_TEST.iter().any(|start| name.starts_with(start));
    env::vars().map(|(name, _)| name).filter(|name| ours(name)).for_each(|name| {
        command.env_remove(name);
    });
    let output = command.output().map_err(|error| format!("cargo does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("the functions do not build:\n{said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_lie_beside_the_tests() {
        for name in FUNCTIONS {
            assert!(
                binary(name)
                    .starts_with(env::current_exe().expect("this executable").ancestors().nth(2).expect("a folder"))
            );
        }
    }

    #[test]
    #[should_panic(expected = "tests/run")]
    fn a_missing_binary_names_the_way_out() {
        binary("nobody");
    }
}
