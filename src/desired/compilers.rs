//! Compilers and the balancer before them: names of certificates and volumes.
//!
//! A compiler's certificate is asked for at the CA while that serves (`execute::compiler_steps`), so that another compiler
//! stops nobody; the balancer's is issued with those of the other services.

/// Key of the balancer's volume: settings, certificate, and who the compilers are.
pub const BALANCER_VOLUME: &str = "balancer-config";
/// How many compilers the balancer has slots for.
pub const SLOTS: u32 = 16;

/// The balancer's certname.
pub fn balancer_certname(project: &str) -> String {
    format!("{project}-balancer")
}

/// A compiler's certname.
pub fn certname(project: &str, number: u32) -> String {
    format!("{project}-compiler-{number}")
}

/// Key of the volume with a compiler's configuration.
pub fn config_volume(number: u32) -> String {
    format!("compiler-{number}-config")
}

/// Key of the volume with a compiler's certificate and key.
pub fn ssl_volume(number: u32) -> String {
    format!("compiler-{number}-ssl")
}

/// The number of the compiler that a volume is of: nothing for any other volume.
pub fn number_of(key: &str) -> Option<u32> {
    let number = key.strip_prefix("compiler-")?;
    number.strip_suffix("-ssl").or_else(|| number.strip_suffix("-config"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Compilers;

    #[test]
    fn volumes_tell_whose_they_are() {
        assert_eq!(number_of(&ssl_volume(3)), Some(3));
        assert_eq!(number_of(&config_volume(12)), Some(12));
        assert_eq!(number_of("compiler-config"), None);
        assert_eq!(number_of("agent-1"), None);
    }

    #[test]
    fn every_compiler_has_a_slot() {
        assert!(Compilers::new(SLOTS).is_some() && Compilers::new(SLOTS + 1).is_none());
    }
}
