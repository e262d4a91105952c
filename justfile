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

# Fuzz one parser for five minutes: `just fuzz smtp_reply`; what is wrong lands in tests/fuzz/artifacts
fuzz NAME *ARGS:
    cp Cargo.lock tests/fuzz/Cargo.lock
    mkdir -p tests/fuzz/found/{{NAME}}
    cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none {{NAME}} tests/fuzz/found/{{NAME}} tests/fuzz/corpus/{{NAME}} -- \
        -max_total_time=300 -max_len=4096 -timeout=5 -rss_limit_mb=512 {{ARGS}}

# Take into the corpus of a parser what fuzzing found that reaches further than what is there
fuzz-keep NAME:
    cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none {{NAME}} tests/fuzz/corpus/{{NAME}} tests/fuzz/found/{{NAME}} -- -merge=1

# A site in ./site
run *ARGS:
    cargo run --release --locked -- {{ARGS}}
