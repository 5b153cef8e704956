//! Fills a lake in a folder from log files: `cargo run -p page --example seed -- LOGS DATA`.
//! For work on the pages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake::Lake;
use object_store::local::LocalFileSystem;
use trail::detection::Engine;
use trail::facts::{Facts, Hint};
use trail::log_file::{Inflater, Limits, evaluate};
use trail::record::Record;
use trail::settings::Settings;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found)
        } else if path.extension().is_some_and(|e| e == "gz") {
            found.push(path)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::fs::create_dir_all(&arguments[1]).unwrap();
    let lake = Lake::new(Arc::new(LocalFileSystem::new_with_prefix(&arguments[1]).unwrap()), "".into());
    let mut found = Vec::new();
    files(Path::new(&arguments[0]), &mut found);
    let engine = Engine::new(Settings::default());
    let mut texts: Vec<String> = Vec::new();
    for path in found.iter().filter(|path| !path.to_string_lossy().contains("CloudTrail-Digest")) {
        let inflated = Inflater::new(Limits::default()).inflate(&std::fs::read(path).unwrap());
        let mut each = |record: &Record<'_>| texts.push(record.text().to_owned());
        evaluate(&engine, &inflated, &path.to_string_lossy(), Limits::default(), &mut each);
    }
    let records: Vec<Record<'_>> = texts.iter().map(|text| Record::parse(text).unwrap()).collect();
    let facts: Vec<Facts<'_>> = records.iter().filter_map(|one| Facts::of(one, Hint::default()).ok()).collect();
    lake.write_hot(&facts).await.unwrap();
    if let Some(port) = arguments.get(2) {
        let door = page::security::Loopback::new(port.parse().unwrap(), "dev", page::Asking::at_this_machine("dev"));
        let pages = page::router(Arc::new(page::Viewer::new(lake, Settings::default())));
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
        axum::serve(listener, door.before(pages)).await.unwrap();
    }
    println!("{} records", facts.len());
}
