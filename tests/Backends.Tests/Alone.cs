// Tests that look at, or change, what is the whole process's: its descriptors, its limits, its temporary files.
using Xunit;

namespace Lamina.Tests.Backends;

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
