//! The same tests for both forms of the gateway.

/// Runs each case twice: on the gateway inside the server, and on one that reaches the server through a socket. A case
/// is an `async fn(app: TestApp)` of the module that says this. The path of a test names the form that failed.
macro_rules! gateway_tests {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                super::$case($crate::support::TestApp::start($crate::support::Form::Embedded).await).await;
            })+
        }

        mod apart {
            $(#[tokio::test]
            async fn $case() {
                super::$case($crate::support::TestApp::start($crate::support::Form::Apart).await).await;
            })+
        }
    };
}
pub(crate) use gateway_tests;
