//! Keys, certificates and the token of one cluster, good for nothing else.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its key, as PEM files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What the API server and its clients prove themselves with.
pub(crate) struct Certificates {
    /// The certificate of the authority that signed the others.
    pub(crate) authority: PathBuf,
    /// The API server's.
    pub(crate) server: Identity,
    /// What a client shows that may do everything. Agents of real clusters come with a token as well, and an API server
    /// remembers those, while it checks a client's certificate anew for every request.
    pub(crate) token: String,
    /// The file in which the API server finds it.
    pub(crate) tokens: PathBuf,
    /// The key that tokens of service accounts are signed with.
    pub(crate) accounts_key: PathBuf,
    /// The public part of that key, which they are checked with.
    pub(crate) accounts_public_key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`; the API server's is valid for `address`.
    pub(crate) fn make(folder: &Path, address: IpAddr) -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, "test cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut server = CertificateParams::new([address.to_string()])?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &issuer)?;
        let server = Identity {
            certificate: written(folder, "server.crt", &certificate.pem())?,
            key: written(folder, "server.key", &key.serialize_pem())?,
        };
        // As much chance as a key has.
        let token: String =
            KeyPair::generate()?.public_key_raw()[1..].iter().map(|byte| format!("{byte:02x}")).collect();
        let accounts = KeyPair::generate()?;
        Ok(Self {
            authority: written(folder, "authority.crt", &issuer.pem())?,
            server,
            tokens: written(folder, "tokens.csv", &format!("{token},admin,admin,\"system:masters\"\n"))?,
            token,
            accounts_key: written(folder, "accounts.key", &accounts.serialize_pem())?,
            accounts_public_key: written(folder, "accounts.pub", &accounts.public_key_pem())?,
        })
    }
}

fn written(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
