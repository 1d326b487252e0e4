// What every part of a machine that can be saved must keep to, once for all: a class of its own for each part says how one is made,
// brought into a state worth keeping, and looked at. The file beside this that is named for the part's kind and version holds such a
// state for good; a later version of the program has to read it.
using System.Globalization;
using Lamina.Core.State;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>The contract of saving.</summary>
public abstract class SavedUnitTests<T> where T : ISavedUnit
{
    private const string WriteSamples = "LAMINA_TEST_WRITE_SAMPLES";

    /// <summary>A part as it is after power-on, in surroundings of its own.</summary>
    protected abstract T Create();

    /// <summary>A fresh part in surroundings that stand where they stood when <see cref="Disturb"/> had come to its end.</summary>
    protected virtual T CreateForLoading() => Create();

    /// <summary>Brings it into a state in which every field differs from a fresh part's. The same each time.</summary>
    protected abstract void Disturb(T unit);

    /// <summary>What a guest can find out of it, as text.</summary>
    protected abstract string Observe(T unit);

    /// <summary>Goes on working with a part that took up some state or other.</summary>
    protected virtual void Use(T unit) => Observe(unit);

    /// <summary>What tells the samples of one kind apart, where several classes try it.</summary>
    protected virtual string Variant => "";

    private static byte[] Save(T unit) => SavedFields.Write(unit.Kind.Version, unit.Save);

    private T Load(byte[] state, int? version = null)
    {
        var unit = CreateForLoading();
        SavedFields.Read(state, version ?? unit.Kind.Version, unit.Load);
        return unit;
    }

    private T Disturbed()
    {
        var unit = Create();
        Disturb(unit);
        return unit;
    }

    [Fact]
    public void What_was_saved_is_loaded_and_a_guest_cannot_tell()
    {
        var saved = Save(Disturbed());
        var loaded = Load(saved);

        Assert.Equal(Convert.ToHexString(saved), Convert.ToHexString(Save(loaded)));
        Assert.Equal(Observe(Disturbed()), Observe(loaded));
    }

    [Fact]
    public void A_fresh_part_is_saved_and_loaded()
    {
        var saved = Save(CreateForLoading());

        Assert.Equal(Convert.ToHexString(saved), Convert.ToHexString(Save(Load(saved))));
        Assert.NotEqual(Convert.ToHexString(saved), Convert.ToHexString(Save(Disturbed())));
    }

    [Fact]
    public void Saving_changes_nothing()
    {
        var unit = Disturbed();

        var first = Convert.ToHexString(Save(unit));

        Assert.Equal(first, Convert.ToHexString(Save(unit)));
        Assert.Equal(Observe(Disturbed()), Observe(unit));
    }

    [Fact]
    public void A_state_that_is_cut_off_anywhere_is_refused()
    {
        var saved = Save(Disturbed());

        for (var length = 0; length < saved.Length; length++)
            Assert.Throws<StateException>(() => Load(saved[..length]));
        Assert.Throws<StateException>(() => Load([.. saved, 0xfe, 0x7f, 1]));
    }

    [Fact]
    public void A_state_that_is_damaged_is_refused_or_harmless()
    {
        var saved = Save(Disturbed());
        var random = new Random(20250);
        var refused = 0;
        for (var round = 0; round < 2000; round++)
        {
            var damaged = (byte[])saved.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                Use(Load(damaged));
            }
            catch (StateException e)
            {
                Assert.NotEmpty(e.Message);
                refused++;
            }
        }
        Assert.InRange(refused, 1, 2000);
    }

    [Fact]
    public void States_of_all_versions_so_far_are_loaded()
    {
        var kind = Create().Kind;
        var present = Convert.ToHexString(Save(Disturbed()));
        if (Environment.GetEnvironmentVariable(WriteSamples) is { Length: > 0 } folder)
            File.WriteAllText(Path.Combine(folder, Name(kind, kind.Version)), present + "\n");

        for (var version = 1; version <= kind.Version; version++)
        {
            var sample = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Saved", Name(kind, version))).Trim();
            var loaded = Load(Convert.FromHexString(sample), version);
            if (version == kind.Version) Assert.Equal(present, Convert.ToHexString(Save(loaded)));
        }
    }

    private string Name(SavedKind kind, int version) => string.Create(CultureInfo.InvariantCulture, $"{kind.Name.Replace(' ', '-')}{Variant}.{version}.hex");
}
