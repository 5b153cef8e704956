//! Programs of the Python environment that `tests/run` makes.

use std::env;
use std::path::PathBuf;

/// What names the environment's folder of programs.
const VARIABLE: &str = "QTRAIL_TEST_PYTHON";

/// The path of one of its programs: `python`, `aws`.
///
/// `tests/run` puts the environment below the target folder and says where; so the folder alone will do as well.
pub(crate) fn tool(name: &str) -> PathBuf {
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    let executable = env::current_exe().expect("this executable");
    let installed = || executable.ancestors().skip(1).map(|folder| folder.join("test-python/bin")).find(|f| f.is_dir());
    let found = named.or_else(installed).map(|folder| folder.join(name)).filter(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "`{name}` is missing, a Python program that these tests start\nhint: tests/run makes a Python environment \
             of tests/requirements.txt below the target folder, once; {VARIABLE} names its folder bin"
        )
    })
}
