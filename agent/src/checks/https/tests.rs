use std::{net::SocketAddr, sync::Arc, time::Duration};

use fletchck_shared::Verdict;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tokio_rustls::TlsAcceptor;

use crate::checks::testing::{faults, look, plan, probe};

/// How a server answers one connection, once it has read the request.
type Script = fn(TcpStream) -> futures_util::future::BoxFuture<'static, ()>;

/// A server on a free port that reads one request from each connection and then follows its script.
async fn server(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let some = stream.read(&mut request).await.expect("a request");
            assert!(some > 0);
            tokio::spawn(script(stream));
        }
    });
    address
}

fn plain(server: SocketAddr, more: Value) -> Value {
    let mut options =
        json!({"hostname": "127.0.0.1", "port": server.port(), "tls": false, "timeout": 2});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    options
}

macro_rules! answers {
    ($stream:ident => $body:expr) => {
        server(|mut $stream| Box::pin(async move { $body })).await
    };
}

#[tokio::test]
async fn any_status_is_a_pass_and_the_head_is_logged_as_the_original_does() {
    let server = answers!(stream => {
        let head = b"HTTP/1.1 500 Oh No\r\nServer: it's \"me\"\r\nContent-Length: 9\r\n\r\n";
        stream.write_all(head).await.expect("sent");
    });
    let outcome = look(&*probe("https", plain(server, json!({"reqType": "GET"})))).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    assert_eq!(outcome.log, [r#"(500, 'Server: it\'s "me"\nContent-Length: 9\n\n')"#]);
    let text =
        format!("GET http://127.0.0.1:{}/ answered 500 Internal Server Error", server.port());
    assert_eq!(outcome.text, text);
    let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["dns", "connect", "first byte"]);
}

#[tokio::test]
async fn a_cookie_of_the_answer_is_told_nowhere() {
    let server = answers!(stream => {
        let head = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=open sesame; Path=/\r\nX-Again: open sesame\r\n\r\n";
        stream.write_all(head).await.expect("sent");
    });
    let expect = json!({"reqType": "GET", "expectHeaders": {"x-again": "another"}});
    let outcome = look(&*probe("https", plain(server, expect))).await;
    let told = [outcome.log.join("\n"), outcome.conversation.join("\n"), outcome.text].join("\n");
    assert!(told.contains("Set-Cookie: sid=****; Path=/"), "{told}");
    assert!(told.contains("set-cookie: sid=****; Path=/"), "{told}");
    assert!(!told.contains("sesame"), "{told}");
}

#[tokio::test]
async fn a_field_whose_text_came_from_a_file_is_hidden() {
    let server = answers!(stream => {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Echo: open sesame\r\n\r\n").await.expect("sent");
    });
    let headers = json!({"X-Door_file": "door", "X-Door": "open sesame", "X-Plain": "as it is"});
    let outcome = look(&*probe("https", plain(server, json!({"headers": headers})))).await;
    let said = outcome.conversation.join("\n");
    assert!(said.contains("> x-door: ****") && said.contains("> x-plain: as it is"), "{said}");
    assert!(!said.contains("door_file") && !said.contains("sesame"), "{said}");
    assert!(!outcome.log.join("").contains("sesame"), "{:?}", outcome.log);
}

#[tokio::test]
async fn what_is_no_answer_fails_in_plain_words() {
    let garbage =
        answers!(stream => stream.write_all(b"\x00\xffSSH-2.0-x\r\n\r\n").await.expect("sent"));
    let cut = answers!(stream => stream.write_all(b"HTTP/1.1 200 OK\r\nServ").await.expect("sent"));
    let nothing = answers!(stream => drop(stream.shutdown().await));
    let huge = answers!(stream => {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.expect("sent");
        let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
        // 100 MB, or until the other side has had enough.
        for _ in 0..100_000 {
            if stream.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    for (server, words) in [
        (garbage, "what it answers is no HTTP"),
        (cut, "it closed the connection before its answer was complete"),
        (nothing, "it closed the connection before its answer was complete"),
        (huge, "its answer has more than 64 KiB or 100 lines of header"),
    ] {
        let outcome = look(&*probe("https", plain(server, json!({})))).await;
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.text, format!("http://127.0.0.1:{}/: {words}", server.port()));
        assert_eq!(outcome.soft_fail, None);
    }
}

#[tokio::test]
async fn one_that_takes_too_long_fails_within_its_limit_and_says_where() {
    let drip = answers!(stream => {
        for byte in b"HTTP/1.1 200 OK\r\nServer: slow\r\n\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    let silent = answers!(stream => {
        sleep(Duration::from_secs(60)).await;
        drop(stream.shutdown().await);
    });
    for server in [drip, silent] {
        let probe = probe("https", plain(server, json!({"timeout": 0.3})));
        let began = Instant::now();
        let outcome = look(&*probe).await;
        assert!(began.elapsed() < probe.limit());
        let end =
            "within 0.3 s: it was connected and asked, and its answer did not come to its end";
        assert!(outcome.text.ends_with(end), "{}", outcome.text);
    }
    let no_tls = look(&*probe(
        "https",
        json!({"hostname": "127.0.0.1", "port": silent.port(), "timeout": 0.3}),
    ))
    .await;
    assert!(no_tls.text.ends_with("and the TLS handshake did not end"), "{}", no_tls.text);
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let endless = answers!(stream => {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.expect("sent");
        let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
        while stream.write_all(&chunk).await.is_ok() {}
    });
    let outcome = look(&*probe("https", plain(endless, json!({"reqType": "GET"})))).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_port_without_tls_and_one_without_anything_are_told() {
    let server = answers!(stream => {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
    });
    let options = json!({"hostname": "127.0.0.1", "port": server.port()});
    let outcome = look(&*probe("https", options)).await;
    let end = "TLS failed: what answers there is no TLS (is it the port of the service without?)";
    assert!(outcome.text.ends_with(end), "{}", outcome.text);
    assert_eq!(outcome.soft_fail, None);
    let outcome = look(&*probe("https", json!({"hostname": "127.0.0.1", "port": 1}))).await;
    assert_eq!(
        outcome.text,
        "https://127.0.0.1:1/: cannot connect to 127.0.0.1:1: connection refused (nothing listens there)"
    );
}

/// A certificate authority and servers with certificates of its making.
struct Pki {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

struct Made {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: KeyPair,
}

impl Pki {
    fn new() -> Self {
        Self::named("Test CA")
    }

    fn named(name: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).expect("written");
        Self { folder, ca }
    }

    fn ca_file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    fn signed(&self, edit: fn(&mut CertificateParams)) -> Made {
        let (params, key) = server_params(edit);
        let certificate = params.signed_by(&key, &self.ca).expect("a certificate");
        Made { chain: vec![certificate.der().clone()], key }
    }

    fn self_signed(&self, edit: fn(&mut CertificateParams)) -> Made {
        let (params, key) = server_params(edit);
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(self.folder.path().join("own.pem"), certificate.pem()).expect("written");
        Made { chain: vec![certificate.der().clone()], key }
    }
}

fn server_params(edit: fn(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let names = vec!["localhost".into(), "127.0.0.1".into()];
    let mut params = CertificateParams::new(names).expect("parameters");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    edit(&mut params);
    (params, KeyPair::generate().expect("a key"))
}

/// A web server with this certificate.
async fn secure(made: Made) -> SocketAddr {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(made.chain, key)
        .expect("a key that fits");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut request = [0; 2048];
                    // A client that does not like the certificate asks nothing.
                    if stream.read(&mut request).await.is_ok_and(|some| some > 0) {
                        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                        stream.write_all(answer).await.expect("sent");
                    }
                }
            });
        }
    });
    address
}

/// The sentence and the soft failure of one look at a server, without its URL.
async fn seen(server: SocketAddr, host: &str, more: Value) -> (Verdict, String, Option<String>) {
    let mut options = json!({"hostname": host, "port": server.port()});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    let outcome = look(&*probe("https", options)).await;
    let start = format!("https://{host}:{}/: ", server.port());
    let text = outcome.text.strip_prefix(&start).unwrap_or(&outcome.text).to_owned();
    (outcome.verdict, text, outcome.soft_fail)
}

#[tokio::test]
async fn certificates_are_judged_in_plain_words() {
    let pki = Pki::new();
    let trusting = json!({"cafile": pki.ca_file()});
    let good = secure(pki.signed(|_| {})).await;
    for host in ["localhost", "127.0.0.1"] {
        let (verdict, text, soft) = seen(good, host, trusting.clone()).await;
        assert_eq!((verdict, soft), (Verdict::Pass, None), "{text}");
        assert!(text.contains(" answered 204 No Content, certificate good for "), "{text}");
        assert!(text.ends_with("(until 01 Jan 2090 00:00 UTC)"), "{text}");
    }
    let expired = secure(pki.signed(|p| p.not_after = date_time_ymd(2021, 2, 3))).await;
    let future = secure(pki.signed(|p| p.not_before = date_time_ymd(2080, 2, 3))).await;
    let other = secure(pki.signed(|p| {
        p.subject_alt_names =
            vec![rcgen::SanType::DnsName("other.example".try_into().expect("a name"))];
    }))
    .await;
    let client = secure(pki.signed(|p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }))
    .await;
    for (server, words) in [
        (expired, "the certificate expired on 03 Feb 2021 00:00 UTC"),
        (
            future,
            "the certificate is not valid before 03 Feb 2080 00:00 UTC; is this machine's clock right?",
        ),
        (other, "the certificate is for other.example, not for localhost"),
        (client, "the certificate is not made for servers"),
    ] {
        let told = seen(server, "localhost", trusting.clone()).await;
        assert_eq!(told, (Verdict::Fail, words.into(), Some("certificate".into())));
    }
    let (verdict, text, soft) = seen(expired, "localhost", json!({"selfsigned": true})).await;
    assert_eq!((verdict, soft.as_deref()), (Verdict::Fail, Some("certificate")));
    assert_eq!(text, "the certificate expired on 03 Feb 2021 00:00 UTC");
    let (verdict, text, _) = seen(other, "localhost", json!({"selfsigned": true})).await;
    assert_eq!(verdict, Verdict::Pass, "{text}");
    let stranger = json!({"cafile": Pki::new().ca_file()});
    assert_eq!(seen(good, "localhost", stranger).await.0, Verdict::Fail);
}

#[tokio::test]
async fn an_unknown_authority_is_named() {
    let pki = Pki::new();
    let server = secure(pki.signed(|_| {})).await;
    for (stranger, words) in [
        ("Other CA", "which this machine does not trust"),
        ("Test CA", "though not with the key that this machine trusts by that name"),
    ] {
        let stranger = Pki::named(stranger);
        let (_, text, soft) =
            seen(server, "localhost", json!({"cafile": stranger.ca_file()})).await;
        assert_eq!(soft.as_deref(), Some("certificate"));
        assert!(text.contains("signed by CN=Test CA") && text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_says_what_to_do_and_can_be_trusted() {
    let pki = Pki::new();
    for (authority, ca) in [(false, ""), (true, " (it is an authority, CA:TRUE, of its own)")] {
        let made = if authority {
            pki.self_signed(|p| {
                p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                p.extended_key_usages.clear();
            })
        } else {
            pki.self_signed(|_| {})
        };
        let own = json!({"cafile": pki.folder.path().join("own.pem").display().to_string()});
        let server = secure(made).await;
        let (_, text, soft) = seen(server, "localhost", json!({"cafile": pki.ca_file()})).await;
        assert_eq!(soft.as_deref(), Some("certificate"));
        assert!(
            text.starts_with(&format!("the certificate is self-signed{ca} and nobody")),
            "{text}"
        );
        let (verdict, text, _) = seen(server, "localhost", json!({"selfsigned": true})).await;
        assert_eq!(verdict, Verdict::Pass, "{text}");
        let (verdict, text, _) = seen(server, "localhost", own.clone()).await;
        assert_eq!(verdict, Verdict::Pass, "{text}");
        let (_, text, _) = seen(server, "ip6-localhost", own).await;
        assert!(!text.contains("answered"), "{text}");
    }
}

#[tokio::test]
async fn the_seventh_day_is_early_enough() {
    let pki = Pki::new();
    for (days, verdict) in [(6, Verdict::Fail), (8, Verdict::Pass)] {
        let (mut params, key) = server_params(|_| {});
        params.not_after =
            (std::time::SystemTime::now() + Duration::from_secs(days * 86_400)).into();
        let certificate = params.signed_by(&key, &pki.ca).expect("a certificate");
        let made = Made { chain: vec![certificate.der().clone()], key };
        let server = secure(made).await;
        for more in [json!({"cafile": pki.ca_file()}), json!({"selfsigned": true})] {
            let (seen, text, _) = seen(server, "localhost", more).await;
            assert_eq!(seen, verdict, "{text}");
        }
    }
}

#[tokio::test]
async fn a_file_of_trusted_certificates_that_is_none_is_no_fault_of_the_certificate() {
    let server = secure(Pki::new().signed(|_| {})).await;
    let (_, text, soft) = seen(server, "localhost", json!({"cafile": "/no/such"})).await;
    assert!(text.starts_with("no certificate can be verified: /no/such: "), "{text}");
    assert_eq!(soft, None);
}

#[test]
fn options_are_judged() {
    for (options, wrong) in [
        (json!({}), "hostname"),
        (json!({"hostname": "a", "port": "8443"}), "port"),
        (json!({"hostname": "a", "port": 0}), "port"),
        (json!({"hostname": "a", "timeout": 0}), "timeout"),
        (json!({"hostname": "a", "tls": 1}), "tls"),
        (json!({"hostname": "a", "reqType": "GET /"}), "reqType"),
        (json!({"hostname": "a", "reqType": "GET\r\nX: y"}), "reqType"),
        (json!({"hostname": "a", "reqPath": "/ HTTP/1.1\r\nX: y"}), "reqPath"),
        (json!({"hostname": "a", "reqPath": "/a b"}), "reqPath"),
        (json!({"hostname": "a", "reqPath": "b"}), "reqPath"),
        (json!({"hostname": "https://a/"}), "hostname"),
        (json!({"hostname": "a", "selfSigned": true}), "selfSigned"),
        (json!({"hostname": "a", "status": "ok"}), "status"),
        (json!({"hostname": "a", "reqType": "HEAD", "contains": "x"}), "reqType"),
        (json!({"hostname": "a", "matches": "(?=x)"}), "matches"),
        (json!({"hostname": "a", "jsonPath": "state"}), "jsonPath"),
        (json!({"hostname": "a", "jsonIs": "up"}), "jsonPath"),
        (json!({"hostname": "a", "headers": {"Content-Length": "5"}}), "headers"),
        (json!({"hostname": "a", "headers": {"A b": "5"}}), "headers"),
        (json!({"hostname": "a", "headers": {"X-Key_file": "k"}}), "headers.X-Key_file"),
        (json!({"hostname": "a", "username": "u"}), "password"),
        (json!({"hostname": "a", "token": "t", "username": "u", "password": "p"}), "token"),
        (json!({"hostname": "a", "token": "t", "tls": false}), "tls"),
        (json!({"hostname": "a", "clientKey": "/key"}), "clientCert"),
        (json!({"hostname": "a", "http": "3"}), "http"),
        (json!({"hostname": "a", "redirects": 100}), "redirects"),
        (json!({"hostname": "a", "maxMs": 100, "warnMs": 200}), "warnMs"),
    ] {
        assert_eq!(faults("https", options.clone()), [wrong], "{options}");
    }
    let none: [&str; 0] = [];
    for options in [
        json!({"hostname": "a:8443", "timezone": "UTC", "port": null}),
        json!({"hostname": "fe80::1", "reqType": "get", "reqPath": "/ü?a=b"}),
        json!({"hostname": "aa:bb:cc:dd:ee:ff", "reqType": "OPTIONS", "reqPath": "*"}),
    ] {
        assert_eq!(faults("https", options.clone()), none, "{options}");
        plan("https", options);
    }
}
