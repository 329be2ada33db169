//! Logging a connection in: NTLM by sspi, or Basic. What a login keeps afterwards seals and opens messages.
//!
//! [`Login`] is the seam for Kerberos: tokens out and in until it is done, then seal and open. NTLM speaks raw NTLMSSP
//! under `Negotiate`, which WinRM takes as well as one wrapped in SPNEGO.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, DataRepresentation, EncryptionFlags, Ntlm,
    SecurityBuffer, SecurityBufferRef, SecurityStatus, Sspi, SspiImpl, Username,
};

use super::fault::Failure;
use super::sealed::Sealed;
use crate::model::Secret;
use crate::provider::ErrorKind;
use crate::settings::Auth;

/// Length of NTLM's signature ([MS-NLMP] 2.2.2.9).
const SIGNATURE: usize = 16;

/// One connection's login.
pub(super) trait Login: Send {
    /// The scheme named in `Authorization`.
    fn scheme(&self) -> &'static str;

    /// The next token to send, given the server's; `None`: nothing more to send.
    fn step(&mut self, answer: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure>;

    /// Seals a message.
    fn seal(&mut self, text: &[u8]) -> Result<Sealed, Failure>;

    /// Opens a sealed message.
    fn open(&mut self, sealed: Sealed) -> Result<Vec<u8>, Failure>;
}

/// The login that the settings ask for; `None` for Basic, whose header goes with each message.
pub(super) fn login(
    auth: Auth,
    username: &str,
    password: &Secret,
    binding: Option<Vec<u8>>,
) -> Result<Option<Box<dyn Login>>, Failure> {
    match auth {
        Auth::Basic => Ok(None),
        Auth::Ntlm => Ok(Some(Box::new(NtlmLogin::new(username, password, binding)?))),
    }
}

/// `Authorization` of Basic (RFC 7617).
pub(super) fn basic(username: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", BASE64.encode(format!("{username}:{}", password.expose()))))
}

struct NtlmLogin {
    ntlm: Ntlm,
    identity: AuthIdentity,
    credentials: Option<sspi::AuthIdentityBuffers>,
    /// The last token is out.
    done: bool,
}

impl NtlmLogin {
    fn new(username: &str, password: &Secret, binding: Option<Vec<u8>>) -> Result<Self, Failure> {
        let username = Username::parse(username).map_err(|error| {
            Failure::because(ErrorKind::Denied, format!("the username in the settings is none of Windows': {error}"))
        })?;
        let identity = AuthIdentity { username, password: password.expose().to_owned().into() };
        let mut ntlm = Ntlm::new();
        if let Some(binding) = binding {
            ntlm.set_channel_bindings(&binding);
        }
        Ok(Self { ntlm, identity, credentials: None, done: false })
    }

    fn token(&mut self, answer: Option<&[u8]>) -> sspi::Result<Vec<u8>> {
        if self.credentials.is_none() {
            let acquired = self
                .ntlm
                .acquire_credentials_handle()
                .with_credential_use(CredentialUse::Outbound)
                .with_auth_data(&self.identity)
                .execute(&mut self.ntlm)?;
            self.credentials = acquired.credentials_handle;
        }
        let mut input = vec![SecurityBuffer::new(answer.unwrap_or_default().to_vec(), BufferType::Token)];
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut credentials = self.credentials.clone();
        let mut builder = self
            .ntlm
            .initialize_security_context()
            .with_credentials_handle(&mut credentials)
            .with_context_requirements(ClientRequestFlags::CONFIDENTIALITY | ClientRequestFlags::INTEGRITY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name("HTTP")
            .with_input(&mut input)
            .with_output(&mut output);
        let result = self.ntlm.initialize_security_context_impl(&mut builder)?.resolve_to_result()?;
        if matches!(result.status, SecurityStatus::CompleteAndContinue | SecurityStatus::CompleteNeeded) {
            self.ntlm.complete_auth_token(&mut output)?;
        }
        self.done = !matches!(result.status, SecurityStatus::CompleteAndContinue | SecurityStatus::ContinueNeeded);
        Ok(output.pop().map(|buffer| buffer.buffer).unwrap_or_default())
    }
}

impl Login for NtlmLogin {
    fn scheme(&self) -> &'static str {
        "Negotiate"
    }

    fn step(&mut self, answer: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
        if self.done {
            return Ok(None);
        }
        let token = unlogged(|| self.token(answer));
        token.map(Some).map_err(|error| Failure::Senseless(format!("the host's NTLM challenge: {error}")))
    }

    fn seal(&mut self, text: &[u8]) -> Result<Sealed, Failure> {
        let mut sealed = Sealed { signature: vec![0; SIGNATURE], data: text.to_vec() };
        let mut buffers =
            [SecurityBufferRef::token_buf(&mut sealed.signature), SecurityBufferRef::data_buf(&mut sealed.data)];
        unlogged(|| self.ntlm.encrypt_message(EncryptionFlags::empty(), &mut buffers))
            .map_err(|error| Failure::because(ErrorKind::Unexpected, format!("cannot seal a message: {error}")))?;
        Ok(sealed)
    }

    fn open(&mut self, mut sealed: Sealed) -> Result<Vec<u8>, Failure> {
        let mut buffers =
            [SecurityBufferRef::token_buf(&mut sealed.signature), SecurityBufferRef::data_buf(&mut sealed.data)];
        // The change may well have been made: only its answer cannot be read.
        unlogged(|| self.ntlm.decrypt_message(&mut buffers))
            .map_err(|error| Failure::lost(format!("the seal of an answer does not hold: {error}")))?;
        Ok(sealed.data)
    }
}

/// sspi's log would show tokens and whole messages at level debug.
fn unlogged<T>(work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), work)
}
