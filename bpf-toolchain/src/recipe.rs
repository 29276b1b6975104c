//! What to install where something is missing: shown in the error message, carried out by `cargo xtask setup`.

/// Debian's compiler with `core` prebuilt for BPF.
pub const COMPILER_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

/// What bpf-linker is built from on Debian.
pub const LINKER_PACKAGES: [&str; 4] = ["llvm-22-dev", "g++", "zlib1g-dev", "libzstd-dev"];

/// The major version of that LLVM. The linker reads what compilers with this or an older one write.
pub const LLVM: u32 = 22;

/// Where Debian installs it.
pub const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Cargo's arguments that build and install bpf-linker; `LLVM_PREFIX` must be set. The feature is named because the
/// default one wants a newer LLVM than Debian has.
pub const LINKER_INSTALL: [&str; 8] =
    ["install", "--locked", "bpf-linker", "--version", "0.13.0", "--no-default-features", "--features", "llvm-22"];
