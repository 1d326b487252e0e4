// Tests that measure what the whole process takes: its memory, its address space.
using Xunit;

namespace Lamina.Tests.Hypervisor;

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
