// Debian's kernel, unpacked before it runs, and by itself in the guest: at another place at each start, or where it was linked for if it is told so.
using System.Globalization;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class UnpackedKernelTests
{
    private const string Unpacked = ", unpacked";
    private const ulong LinkedText = 0xffff_ffff_8100_0000, LinkedCode = 0x100_0000, Alignment = 0x20_0000;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    private static Task<LinuxGuest> BootAsync(string configuration, string words, bool selfUnpack) =>
        LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), machine => machine with { Boot = machine.Boot with { CommandLine = $"{machine.Boot.CommandLine} {words}", SelfUnpack = selfUnpack } });

    private static async Task<(ulong Text, ulong Code)> PlaceAsync(LinuxGuest guest)
    {
        ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return (Hex(await guest.DoAsync("awk '$3 == \"_text\" { print $1 }' /proc/kallsyms")), Hex((await guest.DoAsync("grep 'Kernel code' /proc/iomem")).Trim().Split('-')[0]));
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task It_is_somewhere_else_at_each_start(string configuration)
    {
        await using var guest = await BootAsync(configuration, "", selfUnpack: false);
        var places = new HashSet<(ulong, ulong)>();
        // One of some 50,000 places: that three are the same is no accident.
        for (var start = 0; start < 3; start++)
        {
            if (start > 0)
            {
                await guest.TypeAsync("reboot -f");
                await guest.WaitAsync("Restarting system");
                await guest.WaitForPromptAsync();
            }
            var (text, code) = await PlaceAsync(guest);
            Assert.Equal((0ul, 0ul), ((text - LinkedText) % Alignment, (code - LinkedCode) % Alignment));
            KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
            places.Add((text, code));
        }

        Assert.True(places.Count > 1);
        Assert.EndsWith(Unpacked, guest.Machine.BootDescription, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task It_is_where_it_was_linked_for_if_told_so_whoever_unpacks_it(string configuration)
    {
        foreach (var selfUnpack in (bool[])[false, true])
        {
            await using var guest = await BootAsync(configuration, "nokaslr", selfUnpack);

            Assert.Equal((LinkedText, LinkedCode), await PlaceAsync(guest));
            Assert.Equal(!selfUnpack, guest.Machine.BootDescription.EndsWith(Unpacked, StringComparison.Ordinal));
        }
    }
}
