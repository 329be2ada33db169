//! The configuration of the service, as `winrm get winrm/config` shows it: clients ask how large an envelope may be.

use super::envelope::MAX_ENVELOPE;
use crate::xml::Writer;

/// Its resource URI.
pub(super) const URI: &str = "http://schemas.microsoft.com/wbem/wsman/1/config";

/// Writes it, in the shape recorded (`test_wsman_update_envelope_size_500.yml`).
pub(super) fn write(writer: &mut Writer) {
    writer.open("cfg:Config").attribute("xmlns:cfg", URI);
    writer.leaf("cfg:MaxEnvelopeSizekb", &(MAX_ENVELOPE >> 10).to_string());
    leaves(writer, &[("MaxTimeoutms", "60000"), ("MaxBatchItems", "32000"), ("MaxProviderRequests", "4294967295")]);
    writer.open("cfg:Client");
    leaves(writer, &[("NetworkDelayms", "5000"), ("URLPrefix", "wsman"), ("AllowUnencrypted", "false")]);
    writer.open("cfg:Auth");
    leaves(writer, &[("Basic", "true"), ("Digest", "true"), ("Kerberos", "true"), ("Negotiate", "true")]);
    leaves(writer, &[("Certificate", "true"), ("CredSSP", "false")]);
    writer.close();
    ports(writer);
    leaves(writer, &[("TrustedHosts", "")]);
    writer.close().open("cfg:Service");
    leaves(
        writer,
        &[
            ("RootSDDL", "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)"),
            ("MaxConcurrentOperations", "4294967295"),
            ("MaxConcurrentOperationsPerUser", "1500"),
            ("EnumerationTimeoutms", "240000"),
            ("MaxConnections", "300"),
            ("MaxPacketRetrievalTimeSeconds", "120"),
            ("AllowUnencrypted", "false"),
        ],
    );
    writer.open("cfg:Auth");
    leaves(writer, &[("Basic", "true"), ("Kerberos", "false"), ("Negotiate", "true"), ("Certificate", "false")]);
    leaves(writer, &[("CredSSP", "false"), ("CbtHardeningLevel", "Relaxed")]);
    writer.close();
    ports(writer);
    leaves(
        writer,
        &[
            ("IPv4Filter", "*"),
            ("IPv6Filter", "*"),
            ("EnableCompatibilityHttpListener", "false"),
            ("EnableCompatibilityHttpsListener", "false"),
            ("CertificateThumbprint", ""),
            ("AllowRemoteAccess", "true"),
        ],
    );
    writer.close().open("cfg:Winrs");
    leaves(
        writer,
        &[
            ("AllowRemoteShellAccess", "false"),
            ("IdleTimeout", "7200000"),
            ("MaxConcurrentUsers", "2147483647"),
            ("MaxShellRunTime", "2147483647"),
            ("MaxProcessesPerShell", "2147483647"),
            ("MaxMemoryPerShellMB", "2147483647"),
            ("MaxShellsPerUser", "2147483647"),
        ],
    );
    writer.close().close();
}

fn ports(writer: &mut Writer) {
    writer.open("cfg:DefaultPorts");
    leaves(writer, &[("HTTP", "5985"), ("HTTPS", "5986")]);
    writer.close();
}

fn leaves(writer: &mut Writer, all: &[(&str, &str)]) {
    for (name, value) in all {
        writer.leaf(&format!("cfg:{name}"), value);
    }
}
