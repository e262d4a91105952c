//! The nginx web server: every answer an https check can meet.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::pki::{Pair, Pki};
use crate::port;
use crate::process::Process;

/// What `http` and `https` serve beside the files `/` and `/big.bin` (1 MB).
const LOCATIONS: &str = r#"
    location = /404 { return 404; }
    location = /500 { return 500 "boom\n"; }
    location = /503 { add_header Retry-After 5 always; return 503; }
    location = /redir { return 302 /index.html; }
    location = /loop { return 302 /loop; }
    location = /abort { return 444; }
    location /moved/ { rewrite ^/moved(/.*)$ $1 redirect; }
    location /plain/ { return 302 http://localhost/; }
    location /busy/ { add_header Retry-After 60 always; return 429; }
    location = /method { return 200 "$request_method\n"; }
    location = /empty { return 200 ""; }
    location = /echo {
        default_type application/json;
        return 200 '{"method": "$request_method", "proto": "$server_protocol", "login": "$http_authorization",
                     "key": "$http_x_api_key", "sent": "$content_length", "queue": 12}';
    }
    location = /private { auth_basic "members"; auth_basic_user_file users; try_files /index.html =404; }
    location = /again { return 307 /echo; }
    location = /other { return 303 /echo; }
"#;

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    /// Plain HTTP: `/`, `/404`, `/500`, `/503`, `/redir`, `/loop` (redirects for ever), `/abort` (closes without an
    /// answer), `/moved/PATH` (redirects to `/PATH`), `/plain/` (redirects to plain HTTP), `/busy/` (429),
    /// `/method` (answers with the method), `/echo` (JSON of what was asked), `/again` and `/other` (redirect there, 307 and 303),
    /// `/away` and `/upgrade` (redirect there by another name, and with TLS), `/downgrade` (without TLS), `/private` (for
    /// `user` with `open sesame`), `/empty`, `/slow` (1 MB in five seconds), `/hang` (never answers), `/timed/ANY` (for
    /// [`Nginx::timed`]).
    pub http: u16,
    /// The same over TLS with the `valid` certificate, HTTP/2 included. By server name it shows other certificates:
    /// `expired.test.example`, `expiring.`, `future.`, `wrong.`, `selfsigned.`, `authority.`, and the same below `localhost`, which
    /// needs no name server.
    pub https: u16,
    /// TLS with the `valid` certificate for clients with a certificate of our authority only.
    pub mutual: u16,
    /// TLS 1.0 and 1.1 with the `valid` certificate, and nothing newer.
    pub old: u16,
    process: Process,
    dir: TempDir,
    /// Accepts connections by the kernel alone and never says a word: what `/hang` waits for.
    _silence: TcpListener,
}

impl Nginx {
    /// Starts a server on free ports.
    ///
    /// # Errors
    /// nginx is not installed or does not start.
    pub async fn start(pki: &Pki) -> Result<Self> {
        let dir = TempDir::with_prefix("nginx-")?;
        let [http, https, mutual, old] = [(); 4].map(|()| port::free());
        let silence = TcpListener::bind("127.0.0.1:0")?;
        let www = dir.path().join("www");
        fs::create_dir(&www)?;
        fs::write(www.join("index.html"), "hello\n")?;
        fs::write(www.join("big.bin"), vec![0; 1_000_000])?;
        fs::write(dir.path().join("users"), "user:{PLAIN}open sesame\n")?;
        let ports = [http, https, mutual, old, silence.local_addr()?.port()];
        fs::write(dir.path().join("nginx.conf"), settings(dir.path(), pki, ports)?)?;

        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(dir.path()).arg("-e").arg(dir.path().join("error.log"));
        command.arg("-c").arg(dir.path().join("nginx.conf"));
        let mut process = Process::start("nginx", command, &dir.path().join("output"))?;
        for port in [http, https, mutual, old] {
            process.wait_for_port(port).await?;
        }
        Ok(Self { http, https, mutual, old, process, dir, _silence: silence })
    }

    /// Serves this text at `/name` from now on, over HTTP and HTTPS.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn serve(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.path().join("www").join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// One line per request answered so far: the request line, the status, the User-Agent.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn requests(&self) -> Result<Vec<String>> {
        let log =
            fs::read_to_string(self.dir.path().join("access.log")).context("reading access.log")?;
        Ok(log.lines().map(str::to_owned).collect())
    }

    /// When each request for `/timed/ANY` was answered, in seconds since 1970, and for which path.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn timed(&self) -> Result<Vec<(f64, String)>> {
        let log =
            fs::read_to_string(self.dir.path().join("timed.log")).context("reading timed.log")?;
        let lines = log.lines().map(|line| {
            let (at, path) = line.split_once(' ').with_context(|| line.to_owned())?;
            Ok((at.parse().context(line.to_owned())?, path.to_owned()))
        });
        lines.collect()
    }

    /// The process, to freeze or end it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn settings(
    dir: &Path,
    pki: &Pki,
    [http, https, mutual, old, silence]: [u16; 5],
) -> Result<String> {
    let dir = dir.display();
    let mut text = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log info;\n\
         events {{ worker_connections 8192; }}\nhttp {{\n\
         log_format short '$request $status $http_user_agent'; access_log {dir}/access.log short;\n\
         log_format timed '$msec $uri';\n\
         root {dir}/www; default_type text/plain; types {{ text/html html; }}\n"
    );
    // Without these five it wants to write below /var/lib/nginx.
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path {dir}/{kind};")?;
    }
    writeln!(
        text,
        "ssl_protocols TLSv1.2 TLSv1.3;\n\
         server {{ listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl http2 default_server; {}\n\
         {LOCATIONS}\
         location = /away {{ return 302 http://localhost:{http}/echo; }}\n\
         location = /upgrade {{ return 301 https://localhost:{https}/echo; }}\n\
         location = /downgrade {{ return 302 http://localhost:{http}/echo; }}\n\
         location = /slow {{ limit_rate 200k; alias {dir}/www/big.bin; }}\n\
         location /timed/ {{ access_log {dir}/timed.log timed; return 204; }}\n\
         location = /hang {{ proxy_pass http://127.0.0.1:{silence}; proxy_read_timeout 600s; }}\n}}",
        certificate(&pki.valid),
    )?;
    for (name, pair) in [
        ("expired", &pki.expired),
        ("expiring", &pki.expiring),
        ("future", &pki.future),
        ("wrong", &pki.wrong),
        ("selfsigned", &pki.selfsigned),
        ("authority", &pki.authority),
    ] {
        writeln!(
            text,
            "server {{ listen 127.0.0.1:{https} ssl http2; server_name {name}.test.example {name}.localhost; {} \
             location / {{ return 200 \"{name}\\n\"; }} }}",
            certificate(pair),
        )?;
    }
    writeln!(
        text,
        "server {{ listen 127.0.0.1:{mutual} ssl; {} ssl_client_certificate {}; ssl_verify_client on; \
         location / {{ return 200 \"$ssl_client_s_dn\\n\"; }} }}",
        certificate(&pki.valid),
        pki.ca.display(),
    )?;
    // The ciphers of that time are too weak for OpenSSL unless it is told to take everything.
    writeln!(
        text,
        "server {{ listen 127.0.0.1:{old} ssl; {} ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0; }}\n}}",
        certificate(&pki.valid),
    )?;
    Ok(text)
}

fn certificate(pair: &Pair) -> String {
    format!("ssl_certificate {}; ssl_certificate_key {};", pair.cert.display(), pair.key.display())
}
