// allauth's script tells of a passkey that did not work; here the person hears of it, too.
'use strict'
document.addEventListener('allauth.error', (event) => {
  const trouble = document.getElementById('passkey_trouble')
  if (!trouble) return
  event.preventDefault()
  trouble.hidden = false
})
if (!window.PublicKeyCredential) {
  for (const each of document.querySelectorAll('[data-needs-passkeys]')) each.hidden = true
}
