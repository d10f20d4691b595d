// The bridge between the sandboxed window and the main process: it hands over a message port, and nothing else.
// All that is said goes over the port, in the contract's words.
import { ipcRenderer } from 'electron';

window.addEventListener('message', ({ source, data }) => {
  if (source === window && data === 'headway-port-request') ipcRenderer.send('headway-port');
});
ipcRenderer.on('headway-port', ({ ports }) => {
  // To this same window only, which shows nothing but our own pages (main/electron/security.ts).
  window.postMessage('headway-port', '*', ports);
});
