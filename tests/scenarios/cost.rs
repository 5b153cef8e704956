//! What it costs is computed, and the page is what was computed last.

#[path = "../../benches/cost.rs"]
mod program;

#[test]
fn the_page_is_what_the_program_prints() {
    let inputs = toml::from_str(include_str!("../../docs/cost.toml")).expect("docs/cost.toml");
    let page = include_str!("../../docs/cost.md");
    assert!(
        program::page(&inputs) == page,
        "docs/cost.md is behind docs/cost.toml: cargo run --release --example cost > docs/cost.md"
    );
}
