//! What all services have in common that take a letter in words in one request.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Action, Letter, TellError, To,
    web::{Request, Service},
    words::{Said, Words},
};
use crate::options::Options;

/// How a service takes a letter.
pub(super) trait Form: Send + Sync + 'static {
    /// The request that tells a letter, said in these words. What does not fit is cut.
    fn request(&self, letter: &Letter, said: Said) -> Request;
}

/// Makes the action of these options: with a way to the service, words, and the form that `form` reads from them.
pub(super) fn message<F: Form>(
    options: &mut Options<'_>,
    form: impl FnOnce(&mut Options<'_>) -> Option<F>,
) -> Option<Arc<dyn Action>> {
    let service = Service::of(options);
    let words = Words::of(options);
    Some(Arc::new(Message { service, words, form: form(options)? }))
}

struct Message<F> {
    service: Service,
    words: Words,
    form: F,
}

#[async_trait]
impl<F: Form> Action for Message<F> {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let said = self.words.say_somehow(letter);
        self.service.send(self.form.request(letter, said)).await
    }
}
