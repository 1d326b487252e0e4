// What a fault of an access in place says of the guest's address. Hosts with four-level paging raise #GP for an address that is not canonical,
// and never come here; those with five levels raise #PF for most.
using Lamina.Engines.Translator.Runtime;
using Xunit;

namespace Lamina.Tests.Engines.Runtime;

public sealed class HostFaultTests
{
    private const ulong Ram = 0x7f12_3456_7000;

    [Theory]
    [InlineData(0ul, false)]
    [InlineData(1ul << 47, true)] // a guest's bit 47 without those above it
    [InlineData(1ul << 48, true)]
    [InlineData(0x00ff_0000_0000_0000ul, true)]
    [InlineData(0xfffe_0000_0000_0000ul, true)] // the kernel's half, for the host
    public void A_page_fault_beyond_user_addresses_is_of_a_non_canonical_address(ulong distance, bool beyond) =>
        Assert.Equal(beyond, TranslatorVcpu.IsBeyondUserAddresses(Ram + distance));
}
