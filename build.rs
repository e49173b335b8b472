//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The list of what the loader has to adjust is then a fiftieth as long: it is read whole at every
    // start, and stays in memory.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
