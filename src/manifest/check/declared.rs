//! A VM as the rules over all VMs see it: as written, or as resolved.

use crate::manifest::report::Place;
use crate::manifest::schema::{At, VmManifest, Written};
use crate::manifest::tree::Spot;
use crate::model::{VmKey, VmSpec};

/// One VM.
#[derive(Debug, Clone, Copy)]
pub enum Declared<'d> {
    /// Just read.
    Written(&'d Written<VmManifest>),
    /// Resolved, with nothing wrong by itself. Where its fields stand is not known any more, so what is found wrong with it
    /// beside others is told by compiling everything at once.
    Standing(&'d VmSpec),
}

/// What a NIC takes for itself.
pub(super) struct Claims<'d> {
    pub(super) mac: Option<(&'d str, Place)>,
    pub(super) network: Option<&'d str>,
    /// With their prefix.
    pub(super) addresses: Vec<(&'d str, Place)>,
}

/// Some place, for what is not told from here.
const SOMEWHERE: Place = Place { file: u32::MAX, spot: Spot { line: 0, column: 0, length: 0 } };

impl<'d> Declared<'d> {
    /// Where its name stands.
    pub(super) fn place(self) -> Place {
        match self {
            Self::Written(written) => super::place(written, written.manifest.metadata.name.as_ref()),
            Self::Standing(_) => SOMEWHERE,
        }
    }

    pub(super) fn tier(self) -> Option<&'d str> {
        match self {
            Self::Written(written) => written.manifest.spec.tier.as_ref().map(|tier| tier.value.as_str()),
            Self::Standing(spec) => Some(spec.tier.as_str()),
        }
    }

    pub(super) fn nics(self) -> Vec<Claims<'d>> {
        match self {
            Self::Written(written) => {
                let claims = written.manifest.spec.nics.iter().flatten().map(|nic| Claims {
                    mac: nic.mac.as_ref().map(|mac| text_at(written, mac)),
                    network: nic.network.as_ref().map(|network| network.value.as_str()),
                    addresses: nic.addresses.iter().map(|address| text_at(written, address)).collect(),
                });
                claims.collect()
            }
            Self::Standing(spec) => {
                let claims = spec.nics.iter().map(|nic| Claims {
                    mac: nic.mac.as_deref().map(|mac| (mac, SOMEWHERE)),
                    network: Some(&*nic.network),
                    addresses: nic.addresses.iter().map(|address| (address.as_str(), SOMEWHERE)).collect(),
                });
                claims.collect()
            }
        }
    }

    /// Endpoint and own id of the VM that it takes over.
    pub(super) fn adopted(self) -> Option<((&'d str, &'d str), Place)> {
        match self {
            Self::Written(written) => {
                let adopt = written.manifest.spec.adopt.as_ref()?;
                let (endpoint, id) = (adopt.endpoint.as_ref()?, adopt.id.as_ref()?);
                Some(((endpoint.value.as_str(), id.value.as_str()), super::place(written, Some(id))))
            }
            Self::Standing(spec) => {
                let adopt = spec.adopt.as_ref()?;
                Some(((adopt.endpoint.as_str(), adopt.id.as_str()), SOMEWHERE))
            }
        }
    }

    pub(super) fn renamed_from(self) -> Option<(&'d VmKey, Place)> {
        match self {
            Self::Written(written) => {
                let former = written.manifest.spec.renamed_from.as_ref()?;
                Some((&former.value, super::place(written, Some(former))))
            }
            Self::Standing(spec) => Some((spec.renamed_from.as_ref()?, SOMEWHERE)),
        }
    }

    pub(super) fn depends_on(self) -> Vec<(&'d VmKey, Place)> {
        match self {
            Self::Written(written) => {
                let keys = written.manifest.spec.depends_on.iter();
                keys.map(|key| (&key.value, super::place(written, Some(key)))).collect()
            }
            Self::Standing(spec) => spec.depends_on.iter().map(|key| (key, SOMEWHERE)).collect(),
        }
    }
}

fn text_at<'d>(written: &Written<VmManifest>, at: &'d At<String>) -> (&'d str, Place) {
    (&at.value, super::place(written, Some(at)))
}
