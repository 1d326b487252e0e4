// What the translator gives back when its machine is quiet.
using Lamina.Core.Engine;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Tests.Engine.Shared.Guest;
using Lamina.Tests.Machines.Life;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class QuietTests : IDisposable
{
    private static readonly GuestProgram s_sum = new(GuestMode.Long, c =>
    {
        var again = c.CreateLabel();
        c.xor(eax, eax);
        c.mov(ecx, 1000);
        c.Label(ref again);
        c.add(rax, rcx);
        c.dec(ecx);
        c.jnz(again);
    }, (_, state) => Assert.Equal(500_500ul, state.Gpr[GprIndex.Rax]));

    private readonly ManualTime _time = new();
    private readonly SmallMachine _machine;

    public QuietTests() => _machine = new SmallMachine(new TranslatorEngine(new TranslatorSettings { CodeBufferBytes = TranslatorSettings.LeastCodeBufferBytes, QuietCodeBytes = 0, Time = _time }));

    private long Drops => _machine.Count("translator_drops_for_quiet");

    [Fact]
    public void A_quiet_machine_gives_its_translations_back_and_makes_them_again()
    {
        s_sum.Check(_machine, s_sum.Run(_machine));
        var before = _machine.Count("translator_blocks");

        Pass(looks: 4);

        Assert.Equal(1, Drops);
        s_sum.Check(_machine, s_sum.Run(_machine));
        Assert.True(_machine.Count("translator_blocks") > before);
    }

    [Fact]
    public void Each_further_time_takes_twice_the_quiet()
    {
        s_sum.Check(_machine, s_sum.Run(_machine));

        Pass(looks: 2 + 3);
        Assert.Equal(1, Drops);
        Pass(looks: 1);
        Assert.Equal(2, Drops);
    }

    [Fact]
    public void A_machine_that_computes_is_not_quiet()
    {
        _machine.Load(Layout.Code, [0xEB, 0xFE]);
        _machine.Vcpu.SetState(_machine.Start(GuestMode.Long));
        var looks = new Thread(() =>
        {
            // By then the vCPU has translated its loop, that is, it runs.
            SpinWait.SpinUntil(() => _machine.Count("translator_blocks") > 0);
            Pass(looks: 10);
            _machine.Vcpu.Kick();
        });
        looks.Start();

        Assert.Equal(VcpuExit.Kicked, _machine.RunTo());

        looks.Join();
        Assert.Equal(0, Drops);
    }

    [Fact]
    public void A_machine_whose_vcpus_are_given_up_is_left_alone()
    {
        s_sum.Check(_machine, s_sum.Run(_machine));

        _machine.Vcpu.Dispose();

        // Who touched memory that was given up would end the process.
        Pass(looks: 4);
    }

    public void Dispose() => _machine.Dispose();

    private void Pass(int looks)
    {
        for (var n = 0; n < looks; n++) _time.Fire();
    }
}
