//! Why XAPI says no: an error code and its parameters.
//!
//! The codes and their parameters are those of recorded traffic and of the API's error documentation; a test holds the
//! list against both.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: String,
    pub parameters: Vec<String>,
}

macro_rules! codes {
    ($($name:ident),* $(,)?) => {
        $(pub(super) const $name: &str = stringify!($name);)*
        /// Every code the front can answer of its own accord.
        pub const CODES: &[&str] = &[$($name),*];
    };
}

codes! {
    DEVICE_ALREADY_ATTACHED,
    DEVICE_ALREADY_DETACHED,
    DEVICE_ALREADY_EXISTS,
    DEVICE_DETACH_REJECTED,
    EVENT_FROM_TOKEN_PARSE_FAILURE,
    EVENT_SUBSCRIPTION_PARSE_FAILURE,
    FIELD_TYPE_ERROR,
    HANDLE_INVALID,
    HOST_DISABLED,
    HOST_IS_SLAVE,
    HOST_NOT_ENOUGH_FREE_MEMORY,
    HOST_NOT_LIVE,
    INTERNAL_ERROR,
    INVALID_DEVICE,
    INVALID_VALUE,
    MAC_INVALID,
    MAP_DUPLICATE_KEY,
    MEMORY_CONSTRAINT_VIOLATION,
    MESSAGE_METHOD_UNKNOWN,
    MESSAGE_PARAMETER_COUNT_MISMATCH,
    NO_HOSTS_AVAILABLE,
    ONLY_PROVISION_TEMPLATE,
    ONLY_REVERT_SNAPSHOT,
    OPERATION_BLOCKED,
    OPERATION_NOT_ALLOWED,
    OTHER_OPERATION_IN_PROGRESS,
    RBAC_PERMISSION_DENIED,
    SESSION_AUTHENTICATION_FAILED,
    SESSION_INVALID,
    SR_BACKEND_FAILURE_79,
    SR_FULL,
    TASK_CANCELLED,
    UUID_INVALID,
    VBD_IS_EMPTY,
    VBD_NOT_EMPTY,
    VBD_NOT_REMOVABLE_MEDIA,
    VDI_IN_USE,
    VDI_MISSING,
    VDI_TOO_SMALL,
    VM_BAD_POWER_STATE,
    VM_IS_SNAPSHOT,
    VM_IS_TEMPLATE,
    VM_LACKS_FEATURE_SHUTDOWN,
    VM_MISSING_PV_DRIVERS,
    VM_SHUTDOWN_TIMEOUT,
}

impl Failure {
    pub fn new<P: Into<String>>(code: &str, parameters: impl IntoIterator<Item = P>) -> Self {
        Self { code: code.to_owned(), parameters: parameters.into_iter().map(Into::into).collect() }
    }

    /// No such object, as recorded: class and reference.
    pub fn handle(class: super::refs::Class, reference: &str) -> Self {
        Self::new(HANDLE_INVALID, [class.name(), reference])
    }

    /// A parameter that is not what the message takes.
    pub fn field_type(name: &str) -> Self {
        Self::new(FIELD_TYPE_ERROR, [name])
    }

    pub fn invalid(field: &str, value: impl Into<String>) -> Self {
        Self::new(INVALID_VALUE, [field.to_owned(), value.into()])
    }

    pub fn not_allowed(why: &str) -> Self {
        Self::new(OPERATION_NOT_ALLOWED, [why])
    }

    /// Code and parameters in one list, as tasks and XML-RPC have it.
    pub fn list(&self) -> Vec<String> {
        std::iter::once(self.code.clone()).chain(self.parameters.iter().cloned()).collect()
    }
}
