//! Compiles tcpcap-ebpf for BPF and leaves the object at `$OUT_DIR/tcpcap.bpf.o`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use bpf_toolchain::{Build, OVERRIDE, Search, Toolchain, build_command};

fn main() -> ExitCode {
    for input in ["build.rs", "../tcpcap-ebpf", "../tcpcap-common", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let target = match var("CARGO_CFG_TARGET_ENDIAN") {
        Ok(endian) => bpf_toolchain::target(&endian),
        Err(message) => return fail(&message),
    };
    match Search::from_env(target).toolchain() {
        // An error message fails the build by itself. After an exit code other than 0, cargo would print all that this
        // script has printed below the message, and bury it.
        Err(missing) => {
            fail(&missing.to_string());
            ExitCode::SUCCESS
        }
        Ok(found) => build(&found, target).map_or_else(|message| fail(&message), |()| ExitCode::SUCCESS),
    }
}

fn fail(message: &str) -> ExitCode {
    message.lines().for_each(|line| println!("cargo::error={line}"));
    ExitCode::FAILURE
}

fn build(found: &Toolchain, target: &str) -> Result<(), String> {
    let Toolchain { compiler, linker } = found;
    // An upgraded compiler or linker makes another object.
    for program in [&compiler.rustc, &linker.path] {
        println!("cargo::rerun-if-changed={}", program.display());
    }
    let out_dir = PathBuf::from(var("OUT_DIR")?);
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR")?).join("..").canonicalize().map_err(|e| e.to_string())?;
    let (arch, cargo) = (var("CARGO_CFG_TARGET_ARCH")?, var("CARGO")?);
    let build = Build {
        target,
        arch: &arch,
        root: &root,
        cargo: Path::new(&cargo),
        target_dir: &out_dir.join("ebpf"),
        deny_warnings: false,
    };
    run(&mut build_command(found, &build)).map_err(|cause| {
        format!(
            "tcpcap-ebpf does not compile: {cause}; its messages stand below\n\
             compiler {} (Rust {}, LLVM {}), linker {} ({})",
            compiler.rustc.display(),
            compiler.version,
            compiler.llvm,
            linker.path.display(),
            linker.version,
        )
    })?;
    let object = build.object();
    fs::copy(&object, out_dir.join("tcpcap.bpf.o")).map_err(|e| format!("cannot copy {}: {e}", object.display()))?;
    Ok(())
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: this is a build script, cargo runs it"))
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo ended with {status}")),
        Err(e) => Err(format!("{} cannot be run: {e}", command.get_program().display())),
    }
}
