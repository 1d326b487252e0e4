// What the tests of this project may see beyond its public face.
using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Machine.Tests")]
[assembly: InternalsVisibleTo("Boot.Tests")]
[assembly: InternalsVisibleTo("Nested.Tests")]
