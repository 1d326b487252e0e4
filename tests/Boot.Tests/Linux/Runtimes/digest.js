// The same in JavaScript, with garbage and a hash of node's own.
let sum = 0x811c9dc5, state = 1;
const next = () => state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
for (let i = 0; i < 30000000; i++) sum = Math.imul(sum ^ (next() >>> 24), 16777619);
let fraction = 0;
for (let i = 1; i < 3000000; i++) fraction += Math.sqrt(i) / (i + 0.5);
const table = new Map();
for (let i = 0; i < 300000; i++) {
  const word = 'w' + (next() >>> 14);
  table.set(word, [...(table.get(word) ?? []), { at: i }]);
}
const hash = require('crypto').createHash('sha256');
for (const [word, places] of [...table].sort((a, b) => (a[0] < b[0] ? -1 : 1))) hash.update(word + places.map(place => place.at).join());
console.log((sum >>> 0).toString(16), fraction, hash.digest('hex'));
