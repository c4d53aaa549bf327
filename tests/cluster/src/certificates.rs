//! Keys and certificates of one cluster, good for nothing else.

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
    /// A client's that may do everything.
    pub(crate) admin: Identity,
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
        let mut admin = CertificateParams::new([])?;
        admin.distinguished_name.push(DnType::CommonName, "admin");
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];

        let identity = |name: &str, params: &CertificateParams| -> Result<Identity> {
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &issuer)?;
            Ok(Identity {
                certificate: written(folder, &format!("{name}.crt"), &certificate.pem())?,
                key: written(folder, &format!("{name}.key"), &key.serialize_pem())?,
            })
        };
        let accounts = KeyPair::generate()?;
        Ok(Self {
            authority: written(folder, "authority.crt", &issuer.pem())?,
            server: identity("server", &server)?,
            admin: identity("admin", &admin)?,
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
