<?php
// The same in PHP.
ini_set('memory_limit', '-1');
$state = 1; $sum = 0x811c9dc5; $fraction = 0.0; $table = [];
for ($i = 0; $i < 5000000; $i++) {
    $state = ($state * 1664525 + 1013904223) & 0xffffffff;
    $sum = (($sum ^ ($state >> 24)) * 16777619) & 0xffffffff;
}
for ($i = 1; $i < 2000000; $i++) $fraction += sqrt($i) / ($i + 0.5);
for ($i = 0; $i < 200000; $i++) {
    $state = ($state * 1664525 + 1013904223) & 0xffffffff;
    $table['w' . ($state >> 14)][] = $i;
}
ksort($table);
$text = json_encode($table);
printf("%08x-%.17g-%d-%s\n", $sum, $fraction, preg_match_all('/w\d*7"/', $text), hash('sha256', $text));
