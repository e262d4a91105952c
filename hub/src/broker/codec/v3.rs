//! What MQTT 3.1.1 has no number for, in the nearest words it has.

use rumqttd::protocol::{ConnectReturnCode, SubscribeReasonCode};

/// A CONNACK's code.
pub(super) fn connack(code: ConnectReturnCode) -> ConnectReturnCode {
    use ConnectReturnCode as Code;
    match code {
        Code::Success
        | Code::RefusedProtocolVersion
        | Code::ClientIdentifierNotValid
        | Code::ServiceUnavailable
        | Code::BadUserNamePassword
        | Code::NotAuthorized => code,
        Code::Banned | Code::BadAuthenticationMethod | Code::TopicNameInvalid => {
            Code::NotAuthorized
        }
        _ => Code::ServiceUnavailable,
    }
}

/// A SUBACK's code: there is only one way to fail.
pub(super) fn suback(code: &mut SubscribeReasonCode) {
    use SubscribeReasonCode as Code;
    if !matches!(code, Code::QoS0 | Code::QoS1) {
        *code = Code::Failure;
    }
}
