//! What may know what.

use std::process::Command;

/// The names of the packages that a package is built from, itself included.
fn packages_below(package: &str) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    let tree = cargo.args(["tree", "--offline", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_monitor_itself_knows_no_aws_sdk_no_runtime_and_no_network() {
    let packages = packages_below("trail");
    assert!(packages.contains(&"serde".to_owned()), "{packages:?}");
    let forbidden = |name: &&String| {
        name.starts_with("aws")
            || name.starts_with("tokio")
            || name.starts_with("hyper")
            || name.starts_with("object_store")
    };
    assert_eq!(packages.iter().filter(forbidden).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_functions_do_not_carry_the_embedded_table() {
    for function in ["ingest", "notify"] {
        let packages = packages_below(function);
        assert!(packages.contains(&"aws-sdk-dynamodb".to_owned()), "{function}: {packages:?}");
        let embedded = |name: &&String| name.contains("dynoxide") || name.contains("sqlite");
        assert_eq!(packages.iter().filter(embedded).collect::<Vec<_>>(), Vec::<&String>::new(), "{function}");
    }
}
