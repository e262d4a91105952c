# Shortcuts for those who have `just`; each line is the whole command.

# All that a change must pass
ci:
    .ci/run

# Tests, or some of them: `just test store`
test *ARGS:
    tests/run {{ARGS}}

# Lints and documentation with warnings denied
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

# Format everything
fmt:
    cargo fmt --all

# Benchmarks against the other programs, or one of them: `just bench --bench https`
bench *ARGS:
    tests/run --prepare
    cargo build --release --workspace --locked
    cargo bench --package fletchck-tests --locked {{ARGS}}

# A site in ./site
run *ARGS:
    cargo run --release --locked -- {{ARGS}}
